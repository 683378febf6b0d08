import type { ReviewPanel } from '../correct/review'
import type { LayersPanel } from './layers-panel'
import type { LesionTable } from './tables'
import type { Toolbar } from './toolbar'
import { LUNG_WINDOW, MEDIASTINUM_WINDOW, type Plane, type Viewer } from './viewer'

export interface Controls {
  viewer: Viewer
  toolbar: Toolbar
  layers: LayersPanel
  lesions: LesionTable
  review: ReviewPanel
  plane: () => Plane
  setPlane: (plane: Plane) => void
  help: () => void
}

/** Keys with their meaning, for the help. */
export const KEYS: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
  [
    'Slices and cross-hair',
    [
      ['↑ ↓', 'Next slice towards the head or feet (axial), front or back (coronal), right or left (sagittal)'],
      ['Page Up, Page Down', 'Ten slices'],
      ['Shift + arrows', 'Move the cross-hair within the plane'],
      ['A, C, S', 'The arrow keys act on the axial, coronal or sagittal plane'],
      ['N, Shift + N', 'Next or previous lesion'],
      ['Mouse wheel', 'Scroll slices'],
      ['Click, drag', 'Move the cross-hair']
    ]
  ],
  [
    'Window, zoom and views',
    [
      ['1, 2', 'Lung or mediastinum window'],
      ['W', 'Left button changes the window; the right button always does'],
      ['G', 'Left button pans; Shift + drag always does'],
      ['M', 'Left button measures a distance'],
      ['+, −, 0', 'Zoom in, zoom out, reset'],
      ['Ctrl + mouse wheel, two fingers', 'Zoom'],
      ['V', 'Next view: four views, axial, coronal, sagittal, 3D'],
      ['Alt + arrows', 'Turn the 3D view']
    ]
  ],
  [
    'Layers',
    [
      ['L, U, B, H', 'Lesions, lungs, probability, heat map'],
      ['O', 'Lesions as outline or fill']
    ]
  ],
  [
    'Correction',
    [
      ['E', 'Correct lesions or class'],
      ['P, X, F, T', 'Paint, erase, fill, threshold brush'],
      ['K', 'Next kind'],
      ['[, ]', 'Smaller or larger brush'],
      ['Space', 'Use the brush at the cross-hair, when the picture has the focus'],
      ['Ctrl + Z, Ctrl + Y', 'Undo, redo']
    ]
  ],
  ['Help', [['?', 'This list']]]
]

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false
  if (target instanceof HTMLInputElement) return target.type !== 'checkbox'
  return target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement || target.isContentEditable
}

function scroll(controls: Controls, steps: number): void {
  const plane = controls.plane()
  const step: [number, number, number] = [0, 0, 0]
  step[2 - plane] = steps
  controls.viewer.step(...step)
}

// In the radiological convention the patient's right is on the left of the picture.
function moveWithin(controls: Controls, right: number, up: number): void {
  const plane = controls.plane()
  if (plane === 0) controls.viewer.step(-right, up, 0)
  else if (plane === 1) controls.viewer.step(-right, 0, up)
  else controls.viewer.step(0, -right, up)
}

function arrow(controls: Controls, event: KeyboardEvent): boolean {
  const moves: Record<string, [number, number]> = {
    ArrowUp: [0, 1],
    ArrowDown: [0, -1],
    ArrowLeft: [-1, 0],
    ArrowRight: [1, 0]
  }
  const move = moves[event.key]
  if (!move) return false
  const [x, y] = move
  if (event.altKey) controls.viewer.turn(x * 5, y * 5)
  else if (event.shiftKey) moveWithin(controls, x, y)
  else if (y !== 0) scroll(controls, y)
  // Left and right belong to the page: tables scroll with them.
  else if (event.target !== controls.viewer.canvas) return false
  else moveWithin(controls, x, 0)
  return true
}

function letter(controls: Controls, event: KeyboardEvent): boolean {
  const { viewer, toolbar, layers, lesions, review } = controls
  const { tools } = review
  const always: Record<string, () => void> = {
    PageUp: () => scroll(controls, 10),
    PageDown: () => scroll(controls, -10),
    a: () => controls.setPlane(0),
    c: () => controls.setPlane(1),
    s: () => controls.setPlane(2),
    n: () => lesions.move(1),
    N: () => lesions.move(-1),
    '1': () => viewer.setWindow(LUNG_WINDOW),
    '2': () => viewer.setWindow(MEDIASTINUM_WINDOW),
    w: () => toolbar.setTool('window'),
    g: () => toolbar.setTool('pan'),
    m: () => toolbar.setTool('measure'),
    '+': () => viewer.zoom(1.25),
    '=': () => viewer.zoom(1.25),
    '-': () => viewer.zoom(1 / 1.25),
    '0': () => viewer.resetView(),
    v: () => toolbar.nextView(),
    l: () => layers.toggle('lesions'),
    u: () => layers.toggle('lungs'),
    b: () => layers.toggle('probability'),
    h: () => layers.toggle('heatmap'),
    o: () => layers.toggleOutline(),
    e: () => void review.start(),
    '?': () => controls.help()
  }
  const correcting: Record<string, () => void> = {
    p: () => tools.choose('paint'),
    x: () => tools.choose('erase'),
    f: () => tools.choose('fill'),
    t: () => tools.choose('threshold'),
    k: () => tools.nextKind(),
    '[': () => tools.resize(-1),
    ']': () => tools.resize(1)
  }
  const action = always[event.key] ?? (review.isCorrecting ? correcting[event.key] : undefined)
  action?.()
  return action !== undefined
}

function withControl(controls: Controls, event: KeyboardEvent): boolean {
  const { review } = controls
  if (!review.isCorrecting) return false
  const key = event.key.toLowerCase()
  if (key === 'z' && !event.shiftKey) review.tools.undo()
  else if (key === 'y' || key === 'z') review.tools.redo()
  else return false
  return true
}

/** Listens on the whole page. Returns a function that ends it. */
export function attachKeyboard(controls: Controls): () => void {
  const ending = new AbortController()
  const { canvas } = controls.viewer
  const press = (event: KeyboardEvent) => {
    const isOnCanvas = event.target === canvas
    // NiiVue has keys of its own on its canvas, which this page does not document.
    if (isOnCanvas && event.key !== 'Tab') event.stopPropagation()
    if (document.querySelector('dialog[open]') || isTyping(event.target)) return
    let isDone = false
    if (event.ctrlKey || event.metaKey) isDone = withControl(controls, event)
    else if (event.key.startsWith('Arrow')) isDone = (isOnCanvas || !isScrollable(event.target)) && arrow(controls, event)
    else if (event.key === ' ' && isOnCanvas) {
      controls.review.dab(controls.plane(), controls.viewer.position())
      isDone = true
    } else if (!event.altKey) isDone = letter(controls, event)
    if (isDone) event.preventDefault()
  }
  const options = { capture: true, signal: ending.signal }
  document.addEventListener('keydown', press, options)
  document.addEventListener('keyup', (event) => event.target === canvas && event.stopPropagation(), options)
  return () => ending.abort()
}

// Arrow keys scroll tables and move sliders that have the focus.
function isScrollable(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.classList.contains('table-scroll')
}
