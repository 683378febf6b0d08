import { announce } from '../core/announce'
import { add, button, h, labelled, on, select, setAttributes, setText } from '../core/dom'
import type { Brush, Drawing, BrushSettings } from './drawing'

const BRUSHES: readonly (readonly [Brush, string, string])[] = [
  ['paint', 'Paint', 'P'],
  ['erase', 'Erase', 'X'],
  ['fill', 'Fill', 'F'],
  ['threshold', 'Threshold brush', 'T']
]
const SIZES = [2, 4, 6, 8, 10, 15, 20, 30, 40]
const HINTS: Record<Brush, string> = {
  paint: 'Drag in any plane to paint the chosen kind.',
  erase: 'Drag in any plane to erase.',
  fill: 'Click into a closed region of one slice to fill it.',
  threshold: 'Drag to paint only voxels within the range of HU.'
}

/** The brushes of the correction mode. */
export class CorrectionTools {
  readonly element = h('div', { class: 'correction-tools' })
  readonly settings: BrushSettings = { brush: 'paint', size: 10, label: 1, low: -750, high: -200 }
  private readonly brushes = new Map<Brush, HTMLButtonElement>()
  private readonly hint = h('p', { class: 'muted' })
  private readonly range = h('div', { class: 'hu-range', role: 'group', 'aria-label': 'Range of the threshold brush' })
  private readonly undoButton: HTMLButtonElement
  private readonly redoButton: HTMLButtonElement
  private readonly size: HTMLSelectElement
  private readonly kind: HTMLSelectElement
  private drawing: Drawing | null = null

  constructor(
    hasKinds: boolean,
    private readonly changed: () => void
  ) {
    for (const [brush, label, key] of BRUSHES) {
      const element = button(label, { 'data-testid': brush, 'aria-keyshortcuts': key }, () => this.choose(brush))
      this.brushes.set(brush, element)
    }
    this.undoButton = button('Undo', { 'data-testid': 'undo', disabled: true }, () => this.undo())
    this.redoButton = button('Redo', { 'data-testid': 'redo', disabled: true }, () => this.redo())
    this.size = on(select({ 'data-testid': 'brush-size' }, SIZES.map((s): [string, string] => [String(s), `${s} mm`]), '10'), {
      change: () => (this.settings.size = Number(this.size.value))
    })
    const kinds: [string, string][] = hasKinds
      ? [
          ['1', 'ground glass'],
          ['2', 'consolidation']
        ]
      : [['1', 'lesion']]
    this.kind = on(select({ 'data-testid': 'kind' }, kinds, '1'), {
      change: () => (this.settings.label = Number(this.kind.value))
    })
    add(this.range, this.limit('From, HU', 'low'), this.limit('To, HU', 'high'))
    add(
      this.element,
      h('div', { class: 'tool-group', role: 'group', 'aria-label': 'Brush' }, ...this.brushes.values()),
      h('div', { class: 'field-row' }, labelled('Kind', this.kind), labelled('Brush size', this.size)),
      this.range,
      this.hint,
      h('div', { class: 'tool-group', role: 'group', 'aria-label': 'Steps' }, this.undoButton, this.redoButton)
    )
    this.choose('paint')
  }

  private limit(label: string, key: 'low' | 'high'): HTMLElement {
    const input = h('input', { type: 'number', step: 10, min: -1024, max: 3071, value: this.settings[key], 'data-testid': `threshold-${key}` })
    on(input, {
      input: () => {
        if (Number.isFinite(input.valueAsNumber)) this.settings[key] = input.valueAsNumber
      }
    })
    return labelled(label, input)
  }

  attach(drawing: Drawing): void {
    this.drawing = drawing
    this.update()
  }

  choose(brush: Brush): void {
    this.settings.brush = brush
    for (const [b, element] of this.brushes) setAttributes(element, { 'aria-pressed': String(b === brush) })
    this.range.hidden = brush !== 'threshold'
    setText(this.hint, HINTS[brush])
  }

  resize(step: 1 | -1): void {
    const i = SIZES.indexOf(this.settings.size)
    this.settings.size = SIZES[Math.min(SIZES.length - 1, Math.max(0, i + step))] ?? 10
    this.size.value = String(this.settings.size)
    announce(`Brush size ${this.settings.size} mm`)
  }

  nextKind(): void {
    const n = this.kind.options.length
    this.kind.selectedIndex = (this.kind.selectedIndex + 1) % n
    this.settings.label = Number(this.kind.value)
    announce(`Kind: ${this.kind.selectedOptions[0]?.text ?? ''}`)
  }

  undo(): void {
    if (this.drawing?.undo()) announce('Undone.')
    this.update()
  }

  redo(): void {
    if (this.drawing?.redo()) announce('Redone.')
    this.update()
  }

  update(): void {
    this.undoButton.disabled = !this.drawing?.history.canUndo
    this.redoButton.disabled = !this.drawing?.history.canRedo
    this.changed()
  }
}
