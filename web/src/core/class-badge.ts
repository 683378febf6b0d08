import { h } from './dom'
import { className, DIAGNOSES, wholePercent } from './format'
import type { Diagnosis, Probabilities } from './types'

/** The class with its probability. With a validation notice it is muted and carries the notice. */
export function classBadge(
  diagnosis: Diagnosis | null,
  probabilities: Probabilities | null,
  validationNotice: string | null
): HTMLElement {
  if (!diagnosis) return h('span', { class: 'muted' }, '–')
  const p = probabilities ? ` ${wholePercent(probabilities[diagnosis])}` : ''
  const badge = h('span', { class: validationNotice ? 'class-badge is-unvalidated' : 'class-badge' }, `${className(diagnosis)}${p}`)
  if (!validationNotice) return badge
  return h('span', { class: 'class-with-notice' }, badge, h('small', {}, 'class not validated on patients'))
}

/** All three classes with bars. */
export function probabilityBars(probabilities: Probabilities): HTMLElement {
  const rows = DIAGNOSES.map((d) =>
    h(
      'div',
      { class: 'probability' },
      h('span', {}, className(d)),
      h('meter', { min: 0, max: 1, value: probabilities[d], 'aria-label': `Probability of ${className(d)}` }),
      h('span', { class: 'numeric' }, wholePercent(probabilities[d]))
    )
  )
  return h('div', { class: 'probabilities' }, ...rows)
}
