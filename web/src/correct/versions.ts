import { jobPath } from '../core/api'
import { button, h, hidden, replace, setAttributes } from '../core/dom'
import { className, plural, signed, time } from '../core/format'
import type { Correction } from '../core/types'

function changesText(c: Correction): string {
  const parts: string[] = []
  if (c.diagnosis) parts.push(`class ${className(c.diagnosis)}`)
  if (c.changes) {
    const k = c.changes
    const counts: [number, string][] = [
      [k.lesions_added, 'added'],
      [k.lesions_removed, 'removed'],
      [k.lesions_grown, 'grown'],
      [k.lesions_shrunk, 'shrunk']
    ]
    for (const [n, what] of counts) if (n > 0) parts.push(`${plural(n, 'lesion')} ${what}`)
    parts.push(`${signed(k.added_ml, 1, 'ml')}, ${signed(-k.removed_ml, 1, 'ml')}`)
    if (k.dice_with_model !== null) parts.push(`Dice with the model ${k.dice_with_model.toFixed(2)}`)
  }
  return parts.join('; ') || 'no change'
}

function fileLink(href: string, label: string, file: string): HTMLElement {
  return h('a', { href, title: file }, label, hidden(`, ${file}`))
}

/** Who reviewed the scan, when, why, and what changed. The person chooses which version is shown. */
export class Versions {
  readonly element = h('div')
  shown = 0

  constructor(
    private readonly id: string,
    private readonly isDicom: boolean,
    private readonly choose: (version: number) => void
  ) {}

  show(corrections: Correction[], model: string): void {
    const head = ['No.', 'By', 'Changes', 'Files'].map((t) => h('th', { scope: 'col' }, t))
    const rows = [...corrections].reverse().map((c) => this.row(c))
    const first = h(
      'tr',
      { 'data-testid': 'version-row', 'data-version': 0 },
      h('td', {}, this.pick(0, true)),
      h('td', {}, model),
      h('td', {}, 'result of the model'),
      h('td', {}, fileLink(`${jobPath(this.id)}/files/lesions.nii.gz?download`, 'NIfTI', 'lesions.nii.gz'))
    )
    const caption = h('caption', { class: 'visually-hidden' }, 'Versions, newest first')
    replace(this.element, h('div', { class: 'table-scroll', role: 'region', 'aria-label': 'Versions', tabindex: '0' }, h('table', { class: 'versions' }, caption, h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...rows, first))))
    this.mark(this.shown)
  }

  private pick(version: number, hasMask: boolean): HTMLElement {
    if (!hasMask) return h('span', {}, String(version))
    const element = button(String(version), { class: 'quiet', 'data-version': version }, () => this.choose(version))
    element.append(hidden(version === 0 ? ', show the result of the model' : ', show this version'))
    return element
  }

  private row(c: Correction): HTMLElement {
    const base = `${jobPath(this.id)}/corrections/${c.version}`
    const files = h('td', {})
    if (c.has_mask) {
      files.append(fileLink(`${base}/lesions.nii.gz?download`, 'NIfTI', 'lesions.nii.gz'))
      if (this.isDicom) files.append(' ', fileLink(`${base}/segmentation.dcm?download`, 'DICOM', 'segmentation.dcm'))
    }
    const verdict = c.verdict === 'confirmed' ? 'Confirmed' : 'Corrected'
    return h(
      'tr',
      { 'data-testid': 'version-row', 'data-version': c.version },
      h('td', {}, this.pick(c.version, c.has_mask)),
      h('td', {}, c.reviewer, h('div', { class: 'muted' }, time(c.created_ms))),
      h('td', {}, h('strong', {}, verdict), c.verdict === 'corrected' ? `: ${changesText(c)}` : '', c.reason && h('div', { class: 'muted' }, `Reason: ${c.reason}`)),
      files
    )
  }

  mark(version: number): void {
    this.shown = version
    for (const element of this.element.querySelectorAll('button[data-version]')) {
      setAttributes(element, { 'aria-pressed': String(element.getAttribute('data-version') === String(version)) })
    }
  }
}
