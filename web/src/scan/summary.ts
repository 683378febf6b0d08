import { classBadge, probabilityBars } from '../core/class-badge'
import { add, h, replace } from '../core/dom'
import { className, ml, percent, studyDate } from '../core/format'
import type { Correction, Finding, Job } from '../core/types'

/** The head of the page: which scan, and who the patient is. */
export function scanHead(job: Job): HTMLElement {
  const facts = [job.patient && `Patient ${job.patient}`, job.study_date && studyDate(job.study_date), job.description]
  return h('div', { class: 'scan-head' }, h('h1', { title: job.name }, job.name), h('span', { class: 'muted' }, facts.filter(Boolean).join(' · ')))
}

/** What was found, in a few numbers. Measured values come before an unvalidated class. */
export class Summary {
  readonly element = h('section', { class: 'panel summary', 'aria-labelledby': 'summary-title' })
  private readonly numbers = h('div', { class: 'key-numbers' })
  private readonly source = h('p', { class: 'muted', 'data-testid': 'summary-source' })
  private readonly correctedClass = h('p', { hidden: true, 'data-testid': 'reviewed-class' })

  constructor(
    private readonly finding: Finding,
    validationNotice: string | null
  ) {
    const warnings = [...new Set([...finding.warnings, ...(finding.source.warnings ?? [])])]
    add(
      this.element,
      h('h2', { id: 'summary-title', class: 'visually-hidden' }, 'Result'),
      this.numbers,
      this.source,
      h('div', { class: 'class-line' }, h('span', {}, 'Class'), classBadge(finding.diagnosis, finding.probabilities, validationNotice)),
      validationNotice ? h('p', { class: 'validation-text' }, validationNotice) : null,
      this.correctedClass,
      probabilityBars(finding.probabilities),
      warnings.length > 0 ? h('ul', { class: 'warning-list', 'aria-label': 'Warnings' }, ...warnings.map((w) => h('li', {}, w))) : null
    )
    this.show(null)
  }

  /** Shows the numbers of a correction, or those of the model. */
  show(correction: Correction | null): void {
    const involvement = correction?.involvement ?? this.finding.involvement
    const item = (value: string, label: string) => h('div', {}, h('strong', {}, value), h('span', {}, label))
    replace(
      this.numbers,
      item(percent(involvement.both.fraction), 'of the lungs involved'),
      item(ml(involvement.both.lesion_ml), 'lesion'),
      item(`${involvement.severity_score} / 24`, 'severity score')
    )
    replace(this.source, correction?.involvement ? `Measured on version ${correction.version} by ${correction.reviewer}.` : 'Measured on the lesions of the model.')
  }

  /** Shows the class that the latest review gives. */
  showReview(corrections: Correction[]): void {
    const last = corrections.filter((c) => c.diagnosis !== null).at(-1)
    this.correctedClass.hidden = !last?.diagnosis
    if (last?.diagnosis) replace(this.correctedClass, `Class by ${last.reviewer}: `, h('strong', {}, className(last.diagnosis)))
  }
}
