import { h } from '../core/dom'
import { Viewer } from './viewer'

export interface PreparedViewer {
  frame: HTMLElement
  canvas: HTMLCanvasElement
  viewer: Promise<Viewer>
}

let spare: PreparedViewer | null = null

/** A NIfTI file of a few voxels of 0. */
function tinyScan(isLabels: boolean): ArrayBuffer {
  const n = 4
  const bytes = isLabels ? 1 : 2
  const view = new DataView(new ArrayBuffer(352 + n ** 3 * bytes))
  view.setInt32(0, 348, true)
  ;[3, n, n, n, 1, 1, 1, 1].forEach((v, i) => view.setInt16(40 + 2 * i, v, true))
  view.setInt16(70, isLabels ? 2 : 4, true)
  view.setInt16(72, 8 * bytes, true)
  for (let i = 0; i < 4; i++) view.setFloat32(76 + 4 * i, 1, true)
  view.setFloat32(108, 352, true)
  view.setFloat32(112, 1, true)
  view.setInt16(254, 1, true)
  for (const at of [280, 300, 320]) view.setFloat32(at, 1, true)
  ;[0x6e, 0x2b, 0x31].forEach((v, i) => view.setUint8(344 + i, v))
  return view.buffer
}

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
