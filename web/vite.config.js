import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'
import { licences } from './plugins/licences.js'
import { skipGradient } from './plugins/skip-gradient.js'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))

export default defineConfig({
  base: '/',
  plugins: [skipGradient(), licences()],
  resolve: {
    // NiiVue imports zarrita for Zarr images. The viewer shows NIfTI only, and zarrita would bring
    // WebAssembly decoders that the content security policy forbids.
    alias: { zarrita: here('./plugins/zarrita-stub.js') }
  },
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    // The polyfill is for browsers without WebGL 2, which cannot run the viewer anyway.
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 2000,
    rollupOptions: {
      output: {
        manualChunks: (id) => {
          const isViewerLibrary = /node_modules\/(@niivue|gl-matrix|nifti-reader-js|fflate|array-equal|@lukeed|@ungap)\//
          return isViewerLibrary.test(id) || id.includes('zarrita-stub') ? 'niivue' : undefined
        }
      }
    }
  }
})
