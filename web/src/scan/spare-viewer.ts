import { h } from '../core/dom'
import { tinyScan } from './tiny-scan'
import { Viewer } from './viewer'

export interface PreparedViewer {
  frame: HTMLElement
  canvas: HTMLCanvasElement
  viewer: Promise<Viewer>
}

let spare: PreparedViewer | null = null

// A driver compiles a shader when something is drawn with it. A tiny scan makes it do so early.
async function warmUp(viewer: Viewer): Promise<void> {
  viewer.canvas.width = 256
  viewer.canvas.height = 256
  const [ct, lungs, lesions] = await Promise.all([
    viewer.makeImage('ct', tinyScan(false)),
    viewer.makeImage('lungs', tinyScan(true)),
    viewer.makeImage('lesions', tinyScan(true))
  ])
  viewer.layers.lungs.isOn = true
  viewer.show({ ct, lungs, lesions })
  viewer.layOut()
  viewer.layers.lungs.isOn = false
  viewer.clear()
}

async function createWarm(canvas: HTMLCanvasElement): Promise<Viewer> {
  const viewer = await Viewer.create(canvas)
  await warmUp(viewer)
  return viewer
}

function make(isEarly: boolean): PreparedViewer {
  const canvas = h('canvas', { 'data-testid': 'canvas', tabindex: '0', role: 'application' })
  const frame = h('div', { class: 'frame' }, canvas)
  return { frame, canvas, viewer: isEarly ? createWarm(canvas) : Viewer.create(canvas) }
}

/** The viewer that was prepared, or a new one. */
export function takeViewer(): PreparedViewer {
  const taken = spare ?? make(false)
  spare = null
  return taken
}

/**
 * Loads NiiVue and compiles its shaders while the person looks at the list. The first picture then
 * needs only the data of the scan.
 */
export function prepareViewer(): void {
  if (spare) return
  const start = () => {
    if (spare || location.pathname !== '/') return
    const prepared = make(true)
    spare = prepared
    prepared.viewer.catch(() => {
      // A browser without WebGL 2 tells so on the reading page.
      if (spare === prepared) spare = null
    })
  }
  if ('requestIdleCallback' in window) window.requestIdleCallback(start, { timeout: 3000 })
  else setTimeout(start, 500)
}
