import { alertPerson } from '../core/announce'
import { explain, getJson } from '../core/api'
import { button, h, replace } from '../core/dom'
import { className, DIAGNOSES, ml, plural, signed, time } from '../core/format'
import type { Page } from '../core/router'
import type { Correction, CorrectionSummary, Job } from '../core/types'

const PAGE_SIZE = 25

/** A number with a bar. The text says all, so the bar is hidden from screen readers. */
function barRow(label: string, value: number, largest: number, text = String(value)): HTMLElement {
  const bar = h('span', { class: 'bar', 'aria-hidden': 'true' })
  bar.style.width = `${largest > 0 ? (100 * value) / largest : 0}%`
  return h('tr', {}, h('th', { scope: 'row' }, label), h('td', { class: 'numeric' }, text), h('td', { class: 'bar-cell' }, bar))
}

function barTable(caption: string, what: string, rows: [string, number, string?][]): HTMLElement {
  const largest = Math.max(0, ...rows.map(([, v]) => v))
  const head = h('tr', {}, h('th', { scope: 'col' }, what), h('th', { scope: 'col', class: 'numeric' }, 'Number'), h('td', {}))
  return h('table', { class: 'bars' }, h('caption', {}, caption), h('thead', {}, head), h('tbody', {}, ...rows.map(([l, v, t]) => barRow(l, v, largest, t))))
}

function matrix(summary: CorrectionSummary): HTMLElement {
  const count = (from: string, to: string) => summary.class_changes.find((c) => c.from === from && c.to === to)?.count ?? 0
  const head = h('tr', {}, h('th', { scope: 'col' }, 'Model'), ...DIAGNOSES.map((d) => h('th', { scope: 'col', class: 'numeric' }, className(d))))
  const rows = DIAGNOSES.map((from) =>
    h('tr', {}, h('th', { scope: 'row' }, className(from)), ...DIAGNOSES.map((to) => h('td', { class: 'numeric' }, from === to ? '–' : count(from, to))))
  )
  return h('table', {}, h('caption', {}, 'Changed classes: rows are the class of the model, columns that of the reviewer'), h('thead', {}, head), h('tbody', {}, ...rows))
}

function byModel(summary: CorrectionSummary): HTMLElement {
  const head = ['Model', 'Confirmed', 'Corrected', 'Mean Dice with the corrections'].map((t, i) => h('th', { scope: 'col', class: i ? 'numeric' : '' }, t))
  const rows = summary.by_model.map((m) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, m.model),
      h('td', { class: 'numeric' }, m.confirmed),
      h('td', { class: 'numeric' }, m.corrected),
      h('td', { class: 'numeric' }, m.mean_dice === null ? '–' : m.mean_dice.toFixed(2))
    )
  )
  return h('table', {}, h('caption', {}, 'By model'), h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...rows))
}

function summaryPanel(s: CorrectionSummary): HTMLElement[] {
  return [
    h('p', {}, `${plural(s.reviewed, 'scan')} of ${s.scans_done} reviewed: ${s.confirmed} confirmed, ${s.corrected} corrected.`),
    h(
      'div',
      { class: 'cards' },
      h(
        'div',
        { class: 'panel' },
        barTable('Lesions that the model got wrong', 'Failure', [
          ['Missed lesions', s.lesions_added],
          ['False lesions', s.lesions_removed],
          ['Too small, grown by the reviewer', s.lesions_grown],
          ['Too large, shrunk by the reviewer', s.lesions_shrunk]
        ])
      ),
      h(
        'div',
        { class: 'panel' },
        barTable('Volume', 'Change', [
          ['Added by reviewers', s.added_ml, ml(s.added_ml)],
          ['Removed by reviewers', s.removed_ml, ml(s.removed_ml)]
        ]),
        barTable('Reasons', 'Reason', s.reasons.map((r) => [r.reason, r.count]))
      ),
      h('div', { class: 'panel' }, matrix(s)),
      h('div', { class: 'panel' }, byModel(s))
    )
  ]
}

function latestRow({ job, correction: c }: { job: Job; correction: Correction }): HTMLElement {
  const change = c.changes ? `${signed(c.changes.added_ml, 1, 'ml')}, ${signed(-c.changes.removed_ml, 1, 'ml')}` : '–'
  return h(
    'tr',
    {},
    h('td', {}, h('a', { href: `/scan/${encodeURIComponent(job.id)}`, 'data-route': true }, job.name)),
    h('td', { class: 'numeric' }, c.version),
    h('td', {}, c.reviewer),
    h('td', {}, time(c.created_ms)),
    h('td', {}, c.verdict),
    h('td', {}, c.diagnosis ? className(c.diagnosis) : 'unchanged'),
    h('td', { class: 'numeric' }, change),
    h('td', {}, c.reason)
  )
}

export function correctionsPage(): Page {
  const ending = new AbortController()
  const numbers = h('div', {}, h('p', {}, 'The numbers are loading.'))
  const list = h('tbody')
  const pager = h('nav', { class: 'pager', 'aria-label': 'Pages of the list' })
  const head = ['Scan', 'Version', 'Reviewer', 'Time', 'Verdict', 'Class', 'Volume', 'Reason'].map((t) => h('th', { scope: 'col' }, t))
  const table = h('table', {}, h('caption', { class: 'visually-hidden' }, 'Latest reviews'), h('thead', {}, h('tr', {}, ...head)), list)
  const failed = (error: unknown) => {
    if (!ending.signal.aborted) alertPerson(explain(error))
  }
  const show = (page: number) => {
    const path = `/api/v1/corrections?limit=${PAGE_SIZE}&offset=${(page - 1) * PAGE_SIZE}`
    getJson<{ total: number; corrections: { job: Job; correction: Correction }[] }>(path, ending.signal).then((answer) => {
      const pages = Math.max(1, Math.ceil(answer.total / PAGE_SIZE))
      const empty = h('tr', {}, h('td', { colspan: head.length }, 'There is no review yet.'))
      replace(list, ...(answer.total === 0 ? [empty] : answer.corrections.map(latestRow)))
      pager.hidden = pages < 2
      replace(pager, button('Previous', { disabled: page <= 1 }, () => show(page - 1)), h('span', {}, `Page ${page} of ${pages}`), button('Next', { disabled: page >= pages }, () => show(page + 1)))
    }, failed)
  }
  getJson<CorrectionSummary>('/api/v1/corrections/summary', ending.signal).then((s) => replace(numbers, ...summaryPanel(s)), failed)
  show(1)
  const element = h(
    'section',
    { class: 'document' },
    h('h1', {}, 'Corrections'),
    h('p', { class: 'muted' }, 'Reviewers confirm or correct the results of the model. These numbers show where the model fails.'),
    numbers,
    h('h2', {}, 'Latest reviews'),
    h('div', { class: 'table-scroll', tabindex: '0', role: 'region', 'aria-label': 'Latest reviews' }, table),
    pager
  )
  return { title: 'Corrections', element, close: () => ending.abort() }
}
