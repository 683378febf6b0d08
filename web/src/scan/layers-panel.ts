import { add, button, h, on, setAttributes, setText } from '../core/dom'
import { wholePercent } from '../core/format'
import { COLOURS, type Rgb } from './colours'
import type { LayerName, Viewer } from './viewer'

const TITLES: Record<LayerName, string> = {
  lesions: 'Lesions',
  lungs: 'Lungs',
  probability: 'Probability',
  heatmap: 'Heat map'
}
const ORDER: LayerName[] = ['lesions', 'lungs', 'probability', 'heatmap']
const KEYS: Record<LayerName, string> = { lesions: 'L', lungs: 'U', probability: 'B', heatmap: 'H' }

function swatch(colour: Rgb, label: string, pattern = ''): HTMLElement {
  const box = h('span', { class: `swatch ${pattern}`, 'aria-hidden': 'true' })
  box.style.setProperty('--swatch', `rgb(${colour.join(' ')})`)
  return h('span', { class: 'legend-item' }, box, label)
}

function scale(kind: string, low: string, high: string): HTMLElement {
  return h('span', { class: 'legend-item' }, low, h('span', { class: `scale ${kind}`, 'aria-hidden': 'true' }), high)
}

/** Switches, opacities and legends of the layers. */
export class LayersPanel {
  readonly element = h('section', { class: 'panel layers', 'aria-labelledby': 'layers-title' })
  private readonly toggles = new Map<LayerName, HTMLInputElement>()
  private readonly outline: HTMLButtonElement

  constructor(
    private readonly viewer: Viewer,
    private readonly hasKinds: boolean,
    /** Loads a layer that is not there yet; false if the scan does not have it. */
    private readonly load: (name: LayerName) => Promise<boolean>,
    private readonly changed: () => void
  ) {
    add(this.element, h('h2', { id: 'layers-title' }, 'Layers'))
    for (const name of ORDER) add(this.element, this.row(name))
    this.outline = button('', { class: 'quiet', 'data-testid': 'outline' }, () => this.toggleOutline())
    add(this.element, this.outline)
    this.showOutline()
  }

  private row(name: LayerName): HTMLElement {
    const state = this.viewer.layers[name]
    const toggle = h('input', { type: 'checkbox', 'data-testid': `overlay-${name}` })
    toggle.checked = state.isOn
    on(toggle, { change: () => void this.set(name, toggle.checked) })
    this.toggles.set(name, toggle)
    const value = h('output', { class: 'numeric' }, wholePercent(state.opacity))
    const slider = h('input', {
      type: 'range',
      min: 0,
      max: 100,
      step: 5,
      value: Math.round(state.opacity * 100),
      'aria-label': `Opacity of ${TITLES[name].toLowerCase()}`,
      'data-testid': `opacity-${name}`
    })
    on(slider, {
      input: () => {
        state.opacity = Number(slider.value) / 100
        setText(value, wholePercent(state.opacity))
        this.viewer.applySoon()
        this.changed()
      }
    })
    const title = h('label', { class: 'layer-title' }, toggle, TITLES[name], h('kbd', {}, KEYS[name]))
    return h('div', { class: 'layer' }, title, h('div', { class: 'layer-legend' }, this.legend(name)), slider, value)
  }

  private legend(name: LayerName): HTMLElement {
    const box = h('span', { class: 'legend' })
    if (name === 'lungs') add(box, swatch(COLOURS.lungs, 'outline of each lung', 'is-outline'))
    else if (name === 'probability') add(box, scale('is-probability', '0', '1'))
    else if (name === 'heatmap') add(box, scale('is-heat', 'low', 'high'))
    else if (this.hasKinds) {
      add(box, swatch(COLOURS.ground_glass, 'ground glass'), swatch(COLOURS.consolidation, 'consolidation'))
    } else add(box, swatch(COLOURS.lesion, 'lesion'))
    return box
  }

  async set(name: LayerName, isOn: boolean): Promise<void> {
    const toggle = this.toggles.get(name)
    if (isOn && !this.viewer.has(name)) {
      if (toggle) toggle.disabled = true
      const isThere = await this.load(name)
      // A layer that the scan does not have stays disabled.
      if (toggle) toggle.disabled = !isThere
      if (!isThere) isOn = false
    }
    this.viewer.layers[name].isOn = isOn
    if (toggle) toggle.checked = isOn
    this.viewer.apply()
    this.changed()
  }

  toggle(name: LayerName): void {
    if (this.toggles.get(name)?.disabled) return
    void this.set(name, !this.viewer.layers[name].isOn)
  }

  toggleOutline(): void {
    this.viewer.isOutline = !this.viewer.isOutline
    this.showOutline()
    this.viewer.apply()
    this.changed()
  }

  private showOutline(): void {
    setText(this.outline, this.viewer.isOutline ? 'Fill lesions' : 'Outline lesions')
    setAttributes(this.outline, { 'aria-pressed': this.viewer.isOutline })
  }
}
