import { announce, alertPerson } from '../core/announce'
import { explain, jobPath, postJson, remove } from '../core/api'
import { classBadge } from '../core/class-badge'
import { confirmDialog } from '../core/dialog'
import { add, button, h, hidden, select } from '../core/dom'
import { ml, percent, plural, seconds, stageName, stateName, studyDate, time, wholePercent } from '../core/format'
import type { Job } from '../core/types'

const PRIORITIES = [
  ['10', 'High'],
  ['0', 'Normal'],
  ['-10', 'Low']
] as const

async function act(action: () => Promise<unknown>, done: string): Promise<void> {
  try {
    await action()
    announce(done)
  } catch (error) {
    alertPerson(explain(error))
  }
}

function thumbnail(job: Job): HTMLElement {
  if (!job.has_thumbnail) return h('span', { class: 'thumbnail is-empty' })
  return h('img', { class: 'thumbnail', src: `${jobPath(job.id)}/thumbnail`, alt: '', loading: 'lazy', width: 64, height: 64 })
}

function nameCell(job: Job): HTMLElement {
  const name = h('span', { class: 'job-name' }, job.name)
  const head =
    job.state === 'done' ? h('a', { href: `/scan/${encodeURIComponent(job.id)}`, 'data-route': true }, name) : name
  const facts = [job.patient && `Patient ${job.patient}`, job.study_date && studyDate(job.study_date), job.description]
  return h('td', { class: 'cell-name' }, head, h('div', { class: 'muted' }, facts.filter(Boolean).join(' · ')))
}

function stateCell(job: Job): HTMLElement {
  const cell = h('td', { class: 'cell-state' }, h('span', { class: `state state-${job.state}` }, stateName(job.state)))
  if (job.state === 'running') {
    const stage = job.stage ? `, ${stageName(job.stage)}` : ''
    add(
      cell,
      h('progress', { max: 1, value: job.progress, 'aria-label': `Progress of ${job.name}` }),
      h('div', { class: 'muted' }, `${wholePercent(job.progress)}${stage}`)
    )
  }
  if (job.error) add(cell, h('div', { class: 'job-error' }, job.error.reason, job.error.hint ? ` ${job.error.hint}` : ''))
  if (job.state === 'done' && job.seconds !== null) add(cell, h('div', { class: 'muted' }, `in ${seconds(job.seconds)}`))
  if (job.reviewed) add(cell, h('div', { class: 'reviewed' }, job.reviewed === 'confirmed' ? '✓ confirmed' : '✎ corrected'))
  return cell
}

function actionsCell(job: Job): HTMLElement {
  const cell = h('div', { class: 'row-actions' })
  const post = (what: string, body: unknown, done: string) =>
    void act(() => postJson(`${jobPath(job.id)}/${what}`, body), done)
  const press = (label: string, action: () => void) =>
    add(cell, button(label, { class: 'quiet', 'aria-label': `${label} ${job.name}` }, action))
  if (job.state === 'queued') {
    const known = PRIORITIES.some(([v]) => Number(v) === job.priority)
    const options = known ? PRIORITIES : [...PRIORITIES, [String(job.priority), String(job.priority)] as const]
    const choice = select({ 'aria-label': `Priority of ${job.name}` }, options, String(job.priority))
    choice.addEventListener('change', () =>
      post('priority', { priority: Number(choice.value) }, `The priority of ${job.name} has changed.`)
    )
    add(cell, choice)
  }
  if (job.state === 'queued' || job.state === 'running') {
    press('Cancel', () => post('cancel', {}, `${job.name} is cancelled.`))
  } else {
    if (job.state !== 'done') press('Retry', () => post('retry', {}, `${job.name} waits again.`))
    press('Delete', () => void deleteJob(job))
  }
  return h('td', { class: 'cell-actions' }, cell)
}

async function deleteJob(job: Job): Promise<void> {
  const corrections = job.corrections ? ` and ${plural(job.corrections, 'correction')}` : ''
  const text = `The server deletes ${job.name} with its result${corrections}. You cannot undo this.`
  if (!(await confirmDialog('Delete this scan?', text, 'Delete'))) return
  await act(() => remove(jobPath(job.id)), `${job.name} is deleted.`)
}

function warningsCell(job: Job): HTMLElement {
  const cell = h('td', { class: 'cell-warnings' })
  if (job.warnings.length === 0) return cell
  const list = h('ul', {}, ...job.warnings.map((w) => h('li', {}, w)))
  const summary = h('summary', {}, plural(job.warnings.length, 'warning'), hidden(` of ${job.name}`))
  add(cell, h('details', { class: 'warnings' }, summary, list))
  return cell
}

/**
 * Shows a cell, unless the row has the same one already: a click counts only if the element under the
 * pointer is still there when the button is released.
 */
function showCell(row: HTMLTableRowElement, cell: HTMLElement, place: number): void {
  const shown = row.children[place]
  if (!shown) return row.append(cell)
  const [isOpen, warnings] = [shown.querySelector('details')?.open, cell.querySelector('details')]
  if (isOpen && warnings) warnings.open = true
  if (!shown.isEqualNode(cell)) shown.replaceWith(cell)
}

/** The cells of one scan. */
export function fillRow(row: HTMLTableRowElement, job: Job, validationNotice: string | null): void {
  // A focused control would lose its focus with every event of a running scan.
  const focused = row.contains(document.activeElement) ? document.activeElement?.getAttribute('aria-label') : null
  row.dataset['jobId'] = job.id
  row.dataset['state'] = job.state
  const cells = [
    h('td', { class: 'cell-thumbnail' }, thumbnail(job)),
    nameCell(job),
    stateCell(job),
    h('td', {}, classBadge(job.diagnosis, job.probabilities, validationNotice)),
    h('td', { class: 'numeric' }, percent(job.share_involved), h('div', { class: 'muted' }, job.lesion_ml === null ? '' : ml(job.lesion_ml))),
    warningsCell(job),
    h('td', { class: 'cell-time' }, time(job.created_ms)),
    actionsCell(job)
  ]
  cells.forEach((cell, i) => showCell(row, cell, i))
  if (!focused) return
  for (const control of row.querySelectorAll('[aria-label]')) {
    if (control instanceof HTMLElement && control.getAttribute('aria-label') === focused) control.focus()
  }
}
