import { announce } from '../core/announce'
import { add, h, setText } from '../core/dom'
import { number } from '../core/format'
import type { Plane, Point, Viewer } from './viewer'

const SPEAK_AFTER_MS = 700

/** The values under the pointer, or under the cross-hair when the pointer is elsewhere. */
export class Readout {
  readonly element = h('dl', { class: 'readout', 'aria-label': 'Values at the cross-hair or pointer' })
  private readonly slice = h('dd', { 'data-testid': 'slice-readout' })
  private readonly hu = h('dd', { class: 'numeric', 'data-testid': 'hu-readout' }, '–')
  private readonly probability = h('dd', { class: 'numeric', 'data-testid': 'probability-readout' }, '–')
  private readonly label = h('dd', { 'data-testid': 'label-readout' }, '–')
  private readonly place = h('dd', { class: 'numeric', 'data-testid': 'position-readout' }, '–')
  private pointer: Point | null = null
  private timer = 0

  constructor(
    private readonly viewer: Viewer,
    private readonly lesionLabel: (mm: Point) => string | null
  ) {
    const pair = (name: string, value: HTMLElement) => add(this.element, h('div', {}, h('dt', {}, name), value))
    pair('Slice', this.slice)
    pair('HU', this.hu)
    pair('Probability', this.probability)
    pair('Label', this.label)
    pair('Position, mm', this.place)
  }

  hover(at: { plane: Plane; mm: Point } | null): void {
    this.pointer = at?.mm ?? null
    this.update()
  }

  update(): void {
    const { viewer } = this
    if (!viewer.ct) return
    const cross = viewer.position()
    const mm = this.pointer ?? cross
    setText(this.slice, this.slices(cross))
    const hu = viewer.valueAt(viewer.ct, mm)
    setText(this.hu, hu === null ? '–' : number(hu))
    setText(this.probability, this.probabilityAt(mm))
    setText(this.label, this.labelAt(mm))
    // DICOM and NIfTI count in opposite directions. Letters leave no doubt.
    const axis = (v: number, positive: string, negative: string) => `${Math.abs(v).toFixed(0)} ${v >= 0 ? positive : negative}`
    setText(this.place, [axis(mm[0], 'R', 'L'), axis(mm[1], 'A', 'P'), axis(mm[2], 'S', 'I')].join(', '))
  }

  private slices(mm: Point): string {
    const [x, y, z] = this.viewer.voxel(mm)
    const [nx, ny, nz] = this.viewer.size()
    // Slices are counted from the top, the front and the right, as radiologists page through them.
    return `axial ${nz - z}/${nz}, coronal ${ny - y}/${ny}, sagittal ${nx - x}/${nx}`
  }

  private probabilityAt(mm: Point): string {
    const p = this.viewer.valueAt(this.viewer.image('probability'), mm)
    return p === null ? '–' : p.toFixed(2)
  }

  private labelAt(mm: Point): string {
    const lesion = this.lesionLabel(mm)
    if (lesion) return lesion
    const lung = this.viewer.valueAt(this.viewer.image('lungs'), mm)
    return lung === 1 ? 'right lung' : lung === 2 ? 'left lung' : 'outside the lungs'
  }

  /** Tells a screen reader the values, once the cross-hair rests. */
  speakSoon(): void {
    clearTimeout(this.timer)
    this.timer = window.setTimeout(() => {
      const parts = [this.slice.textContent, `${this.hu.textContent} HU`, this.label.textContent]
      announce(parts.join(', '))
    }, SPEAK_AFTER_MS)
  }

  close(): void {
    clearTimeout(this.timer)
  }
}
