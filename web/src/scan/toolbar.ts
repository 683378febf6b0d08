import { add, button, h, on, setAttributes, setText } from '../core/dom'
import { number } from '../core/format'
import type { Tool } from './options'
import { VIEWS, type View } from './layout'
import { LUNG_WINDOW, MEDIASTINUM_WINDOW, type HuWindow, type Viewer } from './viewer'

const TOOLS: readonly (readonly [Tool, string])[] = [
  ['crosshair', 'Cross-hair'],
  ['window', 'Window'],
  ['pan', 'Pan'],
  ['measure', 'Measure']
]

function isSame(a: HuWindow, b: HuWindow): boolean {
  return a.centre === b.centre && a.width === b.width
}

/** Tools, presets, views and zoom above the picture. */
export class Toolbar {
  readonly element = h('div', { class: 'toolbar', role: 'toolbar', 'aria-label': 'Picture' })
  private readonly tools = new Map<Tool, HTMLButtonElement>()
  private readonly presets: [HTMLButtonElement, HuWindow][] = []
  private readonly views = new Map<View, HTMLButtonElement>()
  private readonly windowText = h('span', { class: 'numeric window-text', 'data-testid': 'window-readout' })
  private tool: Tool = 'crosshair'

  constructor(
    private readonly viewer: Viewer,
    help: () => void
  ) {
    const clear = button('Clear', { class: 'quiet', title: 'Remove all measurements' }, () => this.viewer.nv.clearAllMeasurements())
    const group = (label: string, ...items: HTMLElement[]) =>
      add(this.element, h('div', { class: 'tool-group', role: 'group', 'aria-label': label }, ...items))
    for (const [tool, label] of TOOLS) {
      const testId = tool === 'measure' ? 'measure' : `tool-${tool}`
      this.tools.set(tool, button(label, { 'data-testid': testId }, () => this.setTool(tool)))
    }
    group('Tool of the left button', ...this.tools.values(), clear)
    this.preset('Lung', LUNG_WINDOW, 'preset-lung')
    this.preset('Mediastinum', MEDIASTINUM_WINDOW, 'preset-mediastinum')
    group('Window', ...this.presets.map(([b]) => b), this.windowText)
    for (const [view, label] of VIEWS) {
      this.views.set(view, button(label, { 'data-testid': `view-${view}` }, () => this.setView(view)))
    }
    group('View', ...this.views.values())
    group(
      'Zoom',
      button('−', { 'aria-label': 'Zoom out' }, () => viewer.zoom(1 / 1.25)),
      button('+', { 'aria-label': 'Zoom in' }, () => viewer.zoom(1.25)),
      button('Reset', {}, () => viewer.resetView())
    )
    group('Help', button('Keys ?', { 'data-testid': 'help', 'aria-label': 'Keys and mouse' }, help))
    this.update()
    viewer.windowed = () => this.update()
  }

  private preset(label: string, window: HuWindow, testId: string): void {
    const title = `Centre ${number(window.centre)}, width ${window.width} HU`
    const element = button(label, { 'data-testid': testId, title }, () => this.viewer.setWindow(window))
    this.presets.push([element, window])
  }

  setTool(tool: Tool): void {
    this.tool = this.tool === tool ? 'crosshair' : tool
    this.viewer.setTool(this.tool)
    this.update()
  }

  setView(view: View): void {
    this.viewer.setView(view)
    this.update()
  }

  nextView(): void {
    const i = VIEWS.findIndex(([v]) => v === this.viewer.view)
    this.setView(VIEWS[(i + 1) % VIEWS.length]?.[0] ?? 'four')
  }

  update(): void {
    const press = (element: HTMLElement, isOn: boolean) => setAttributes(element, { 'aria-pressed': String(isOn) })
    for (const [tool, element] of this.tools) press(element, tool === this.tool)
    for (const [view, element] of this.views) press(element, view === this.viewer.view)
    for (const [element, window] of this.presets) press(element, isSame(window, this.viewer.window))
    const { centre, width } = this.viewer.window
    setText(this.windowText, `C ${number(centre)} W ${width}`)
  }
}

/** Keeps the tiles in step with the canvas. */
export function watchSize(viewer: Viewer): () => void {
  const observer = new ResizeObserver(() => viewer.layOut())
  observer.observe(viewer.canvas)
  on(viewer.canvas, { contextmenu: (event) => event.preventDefault() })
  return () => observer.disconnect()
}
