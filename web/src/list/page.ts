import { alertPerson, announce } from '../core/announce'
import { explain, getJson } from '../core/api'
import { add, button, h, hidden, labelled, on, replace, select, setAttributes, setText } from '../core/dom'
import { listen } from '../core/events'
import { plural, stateName } from '../core/format'
import { serverInfo } from '../core/server-info'
import type { Page } from '../core/router'
import type { Job, JobPage, JobState } from '../core/types'
import { prepareViewer } from '../scan/spare-viewer'
import { forgetJob, rememberJob } from '../core/recent-jobs'
import { apiQuery, PAGE_SIZE, readQuery, writeQuery } from './query'
import { fillRow } from './row'
import { Uploads } from './uploads'

const STATES: JobState[] = ['queued', 'running', 'done', 'failed', 'cancelled']
const COLUMNS: [label: string, sort: string | null][] = [
  ['Picture', null],
  ['Scan', 'name'],
  ['State', 'state'],
  ['Class', null],
  ['Share of the lungs', 'share'],
  ['Warnings', null],
  ['Received', 'created'],
  ['Actions', null]
]

class WorkList {
  readonly element = h('section', { class: 'work-list' })
  private readonly body = h('tbody')
  private readonly headings: [HTMLElement, HTMLElement, string][] = []
  private readonly count = h('p', { class: 'muted', 'aria-live': 'polite' })
  private readonly pager = h('nav', { class: 'pager', 'aria-label': 'Pages of the list' })
  private readonly states: HTMLSelectElement
  private readonly uploads = new Uploads(() => this.reload())
  private readonly rows = new Map<string, HTMLTableRowElement>()
  private query = readQuery()
  private validationNotice: string | null = null
  private reloadTimer = 0
  private generation = 0

  constructor() {
    const search = h('input', {
      type: 'search',
      value: this.query.q,
      placeholder: 'Name, patient or description',
      'data-testid': 'search'
    })
    let typing = 0
    on(search, {
      input: () => {
        clearTimeout(typing)
        typing = window.setTimeout(() => this.change({ q: search.value.trim() }), 250)
      }
    })
    const choice = (key: 'state' | 'diagnosis' | 'reviewed', options: [string, string][]) => {
      const element = select({ 'data-testid': `filter-${key}` }, options, this.query[key])
      return on(element, { change: () => this.change({ [key]: element.value }) })
    }
    this.states = choice('state', [['', 'All'], ...STATES.map((s): [string, string] => [s, stateName(s)])])
    const classes = choice('diagnosis', [
      ['', 'All'],
      ['covid19', 'COVID-19'],
      ['cap', 'CAP'],
      ['normal', 'normal']
    ])
    const reviewed = choice('reviewed', [
      ['', 'All'],
      ['none', 'Not reviewed'],
      ['confirmed', 'Confirmed'],
      ['corrected', 'Corrected']
    ])
    add(
      this.element,
      h('div', { class: 'page-head' }, h('h1', {}, 'Work list'), this.uploads.control),
      h('p', { class: 'muted' }, 'Upload .nii, .nii.gz, .nrrd, .mha, or a .zip of DICOM files. You can also drop files on this page.'),
      this.uploads.element,
      h(
        'div',
        { class: 'filters', role: 'search' },
        labelled('Search', search),
        labelled('State', this.states),
        labelled('Class', classes),
        labelled('Review', reviewed)
      ),
      this.count,
      this.table(),
      this.pager
    )
    serverInfo().then(
      (server) => {
        this.validationNotice = server.model.validation_notice
        this.reload()
      },
      () => this.reload()
    )
  }

  acceptDrops(): () => void {
    return this.uploads.acceptDrops()
  }

  private table(): HTMLElement {
    const row = h('tr')
    for (const [label, sort] of COLUMNS) {
      const cell = h('th', { scope: 'col' })
      if (sort) {
        const control = button(label, { class: 'sort', 'data-testid': `sort-${sort}` }, () => this.sortBy(sort))
        add(cell, control)
        this.headings.push([cell, control, sort])
      } else add(cell, label === 'Picture' ? hidden(label) : label)
      add(row, cell)
    }
    const caption = h('caption', { class: 'visually-hidden' }, 'Scans on this server')
    const table = h('table', { class: 'jobs' }, caption, h('thead', {}, row), this.body)
    return h('div', { class: 'table-scroll', tabindex: '0', role: 'region', 'aria-label': 'Scans' }, table)
  }

  private sortBy(sort: string): void {
    const isSame = this.query.sort === sort
    const first = sort === 'name' || sort === 'state' ? 'asc' : 'desc'
    const order = isSame ? (this.query.order === 'asc' ? 'desc' : 'asc') : first
    this.change({ sort, order })
  }

  private change(part: Partial<typeof this.query>): void {
    this.query = { ...this.query, page: 1, ...part }
    writeQuery(this.query)
    this.reload()
  }

  /** Reads the list after a short wait, since events of many scans come together. */
  reloadSoon(): void {
    if (this.reloadTimer) return
    this.reloadTimer = window.setTimeout(() => this.reload(), 400)
  }

  reload(): void {
    clearTimeout(this.reloadTimer)
    this.reloadTimer = 0
    this.generation += 1
    const generation = this.generation
    getJson<JobPage>(apiQuery(this.query)).then(
      (page) => {
        // An answer to an earlier question must not replace a later one.
        if (generation === this.generation) this.show(page)
      },
      (error: unknown) => alertPerson(explain(error))
    )
  }

  private show(page: JobPage): void {
    const pages = Math.max(1, Math.ceil(page.total / PAGE_SIZE))
    if (this.query.page > pages) return this.change({ page: pages })
    for (const [cell, , sort] of this.headings) {
      const order = this.query.order === 'asc' ? 'ascending' : 'descending'
      setAttributes(cell, { 'aria-sort': sort === this.query.sort ? order : null })
    }
    for (const option of this.states.options) {
      const all = STATES.reduce((sum, s) => sum + page.counts[s], 0)
      const n = option.value ? page.counts[option.value as JobState] : all
      setText(option, `${option.value ? stateName(option.value as JobState) : 'All'} (${n})`)
    }
    setText(this.count, page.total === 0 ? 'No scans match.' : plural(page.total, 'scan'))
    const kept = new Set(page.jobs.map((j) => j.id))
    for (const [id, row] of this.rows) {
      if (kept.has(id)) continue
      row.remove()
      this.rows.delete(id)
    }
    page.jobs.forEach((job, i) => {
      rememberJob(job)
      const row = this.rows.get(job.id) ?? h('tr', { 'data-testid': 'job-row' })
      this.rows.set(job.id, row)
      fillRow(row, job, this.validationNotice)
      if (this.body.children[i] !== row) this.body.insertBefore(row, this.body.children[i] ?? null)
    })
    this.showPager(pages)
  }

  private showPager(pages: number): void {
    this.pager.hidden = pages < 2
    const go = (label: string, page: number, isDisabled: boolean) =>
      button(label, { disabled: isDisabled, 'data-testid': `page-${label.toLowerCase()}` }, () => this.change({ page }))
    const { page } = this.query
    replace(
      this.pager,
      go('First', 1, page <= 1),
      go('Previous', page - 1, page <= 1),
      h('span', {}, `Page ${page} of ${pages}`),
      go('Next', page + 1, page >= pages),
      go('Last', pages, page >= pages)
    )
  }

  /** Takes a change of one scan. Progress updates the row; other changes may move it. */
  update(job: Job): void {
    rememberJob(job)
    const row = this.rows.get(job.id)
    const before = row?.dataset['state']
    if (row && before === job.state) fillRow(row, job, this.validationNotice)
    else {
      if (row) fillRow(row, job, this.validationNotice)
      if (before && job.state === 'done') announce(`${job.name} is done.`)
      if (job.state === 'failed') announce(`${job.name} failed. ${job.error?.reason ?? ''}`)
      this.reloadSoon()
    }
  }
}

export function workListPage(): Page {
  const list = new WorkList()
  const endDrops = list.acceptDrops()
  const endEvents = listen({
    job: (job) => list.update(job),
    removed: (id) => {
      forgetJob(id)
      list.reloadSoon()
    },
    recovered: () => list.reload()
  })
  prepareViewer()
  return {
    title: 'Work list',
    element: list.element,
    close: () => {
      endDrops()
      endEvents()
    }
  }
}
