import { add, button, h, hidden, replace, setAttributes } from '../core/dom'
import { kindName, ml, number, percent, plural, zoneName } from '../core/format'
import type { Involvement, KindInvolvement, Lesion, Region } from '../core/types'

function regionRow(region: Region, label: string, kind: string): HTMLElement {
  const bar = h('meter', { min: 0, max: 1, value: region.fraction, 'aria-hidden': 'true', tabindex: '-1' })
  return h(
    'tr',
    { class: kind },
    h('th', { scope: 'row' }, label),
    h('td', { class: 'numeric' }, ml(region.lesion_ml)),
    h('td', { class: 'numeric' }, ml(region.lung_ml)),
    h('td', { class: 'numeric' }, percent(region.fraction), bar),
    h('td', { class: 'numeric' }, kind === 'zone' ? region.score : '')
  )
}

function kindsTable(kinds: KindInvolvement[]): HTMLElement {
  const head = ['Kind', 'Volume', 'Share', 'Right', 'Left'].map((t, i) => h('th', { scope: 'col', class: i ? 'numeric' : '' }, t))
  const rows = kinds.map((k) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, kindName(k.kind)),
      h('td', { class: 'numeric' }, ml(k.lesion_ml)),
      h('td', { class: 'numeric' }, percent(k.fraction)),
      h('td', { class: 'numeric' }, percent(k.right_fraction)),
      h('td', { class: 'numeric' }, percent(k.left_fraction))
    )
  )
  return h('table', {}, h('caption', {}, 'By kind of lesion'), h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...rows))
}

/** Volumes and shares by lung and zone. `source` says whose map was measured. */
export function involvementPanel(involvement: Involvement, kinds: KindInvolvement[], source: string): HTMLElement[] {
  const head = ['Region', 'Lesion', 'Lung', 'Share', 'Score'].map((t, i) => h('th', { scope: 'col', class: i ? 'numeric' : '' }, t))
  const { right, left, both, zones } = involvement
  const rows = [
    regionRow(both, 'Both lungs', 'total'),
    regionRow(right, 'Right lung', 'lung'),
    ...zones.slice(0, 3).map((z) => regionRow(z, z.name, 'zone')),
    regionRow(left, 'Left lung', 'lung'),
    ...zones.slice(3).map((z) => regionRow(z, z.name, 'zone'))
  ]
  const note = `Severity score ${involvement.severity_score} of 24: 0 to 4 for each zone. ${source}`
  const parts: HTMLElement[] = [
    h('table', { class: 'involvement' }, h('caption', {}, 'By lung and zone'), h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...rows)),
    h('p', { class: 'muted' }, note)
  ]
  if (kinds.length > 0) parts.push(kindsTable(kinds))
  return parts
}

/** The lesions, largest first. A click or Enter moves the cross-hair into one. */
export class LesionTable {
  readonly element = h('div')
  private readonly buttons: HTMLButtonElement[] = []
  private current = -1

  constructor(
    private readonly lesions: Lesion[],
    private readonly jump: (lesion: Lesion) => void
  ) {
    if (lesions.length === 0) {
      add(this.element, h('p', {}, 'The model found no lesion.'))
      return
    }
    const labels = ['No.', 'Kind', 'Place', 'ml', 'HU', 'mm']
    const head = labels.map((t, i) => h('th', { scope: 'col', class: i > 2 ? 'numeric' : '' }, t))
    const body = h('tbody', {}, ...lesions.map((lesion, i) => this.row(lesion, i)))
    const table = h('table', { class: 'lesions' }, h('caption', { class: 'visually-hidden' }, 'Lesions, largest first'), h('thead', {}, h('tr', {}, ...head)), body)
    replace(this.element, h('div', { class: 'table-scroll lesion-scroll', role: 'region', 'aria-label': 'Lesions', tabindex: '0' }, table), h('p', { class: 'muted' }, `${plural(lesions.length, 'lesion')} of the model. HU is the mean, mm the longest diameter. Select one to move the cross-hair into it.`))
  }

  private row(lesion: Lesion, i: number): HTMLElement {
    const go = button(String(lesion.id), { class: 'quiet' }, (event) => {
      event.stopPropagation()
      this.select(i)
    })
    add(go, hidden(`, go to ${kindName(lesion.kind)} of ${ml(lesion.ml)}, ${zoneName(lesion.zone)}`))
    this.buttons.push(go)
    const row = h(
      'tr',
      { 'data-testid': 'lesion-row', 'data-lesion': lesion.id },
      h('td', {}, go),
      h('td', {}, kindName(lesion.kind)),
      h('td', {}, zoneName(lesion.zone)),
      h('td', { class: 'numeric' }, lesion.ml.toFixed(1)),
      h('td', { class: 'numeric' }, number(lesion.mean_hu)),
      h('td', { class: 'numeric' }, lesion.longest_mm.toFixed(0))
    )
    row.addEventListener('click', () => this.select(i))
    return row
  }

  private select(i: number): void {
    const lesion = this.lesions[i]
    if (!lesion) return
    this.current = i
    this.buttons.forEach((b, k) => setAttributes(b.closest('tr') ?? b, { 'aria-current': k === i ? 'true' : null }))
    this.buttons[i]?.scrollIntoView({ block: 'nearest' })
    this.jump(lesion)
  }

  /** The next lesion (`step` 1) or the one before (`step` -1). */
  move(step: 1 | -1): void {
    const n = this.lesions.length
    if (n > 0) this.select(this.current < 0 ? (step > 0 ? 0 : n - 1) : (this.current + step + n) % n)
  }
}
