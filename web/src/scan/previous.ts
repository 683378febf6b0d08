import { explain, getJson, jobPath } from '../core/api'
import { add, button, h, labelled, on, replace, select, setText } from '../core/dom'
import { percent, signed, studyDate } from '../core/format'
import type { Finding, Job, Region } from '../core/types'
import { fetchNifti } from './nifti'
import { Viewer, type Point } from './viewer'

type Box = { low: Point; high: Point }

/** The box around the lungs in millimetres. */
function lungBox(viewer: Viewer): Box | null {
  const image = viewer.image('lungs')
  const { dimsRAS, matRAS } = image ?? {}
  if (!image || !dimsRAS || !matRAS) return null
  const [, nx = 0, ny = 0, nz = 0] = dimsRAS
  const low: Point = [Infinity, Infinity, Infinity]
  const high: Point = [-Infinity, -Infinity, -Infinity]
  const skip = 2
  for (let z = 0; z < nz; z += skip) {
    for (let y = 0; y < ny; y += skip) {
      for (let x = 0; x < nx; x += skip) {
        if (image.getValue(x, y, z) === 0) continue
        const mm = image.vox2mm([x, y, z], matRAS)
        for (let a = 0; a < 3; a++) {
          low[a] = Math.min(low[a] ?? 0, mm[a] ?? 0)
          high[a] = Math.max(high[a] ?? 0, mm[a] ?? 0)
        }
      }
    }
  }
  return high[0] > low[0] && high[1] > low[1] && high[2] > low[2] ? { low, high } : null
}

// Two scans of a patient lie differently in space. The same place within the box around the lungs is
// near the same place in the patient.
function carryOver(mm: Point, from: Box, to: Box): Point {
  return mm.map((v, a) => {
    const [l, u, tl, tu] = [from.low[a] ?? 0, from.high[a] ?? 1, to.low[a] ?? 0, to.high[a] ?? 1]
    return tl + ((v - l) / (u - l)) * (tu - tl)
  }) as Point
}

function differences(now: Finding, before: Finding): HTMLElement {
  const head = ['Region', 'Before', 'Now', 'Change', 'Share'].map((t, i) => h('th', { scope: 'col', class: i ? 'numeric' : '' }, t))
  const row = (label: string, a: Region, b: Region) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, label),
      h('td', { class: 'numeric' }, a.lesion_ml.toFixed(1)),
      h('td', { class: 'numeric' }, b.lesion_ml.toFixed(1)),
      h('td', { class: 'numeric nowrap' }, signed(b.lesion_ml - a.lesion_ml, 1, '')),
      h('td', { class: 'numeric nowrap' }, signed((b.fraction - a.fraction) * 100, 1, '%'))
    )
  const [x, y] = [before.involvement, now.involvement]
  const zones = y.zones.flatMap((z, i) => {
    const old = x.zones[i]
    return old ? [row(z.name, old, z)] : []
  })
  return h(
    'table',
    { class: 'differences' },
    h('caption', {}, 'Change since the previous scan: ml of lesion, and percentage points of the share'),
    h('thead', {}, h('tr', {}, ...head)),
    h('tbody', {}, row('Both lungs', x.both, y.both), row('Right lung', x.right, y.right), row('Left lung', x.left, y.left), ...zones)
  )
}

/** The previous scan of the same patient, beside the current one. */
export class PreviousScan {
  readonly element = h('section', { class: 'panel', 'aria-labelledby': 'previous-title', 'data-testid': 'previous', hidden: true })
  readonly picture = h('figure', { class: 'picture previous-picture', hidden: true })
  private readonly body = h('div')
  private readonly toggle: HTMLButtonElement
  /** The previous scan was opened or hidden. */
  opened: (isOpen: boolean) => void = () => {}
  private viewer: Viewer | null = null
  private boxes: { here: Box; there: Box } | null = null
  private isFollowing = false
  private jobs: Job[] = []
  private chosen: Job | null = null

  constructor(
    private readonly current: Viewer,
    private readonly finding: Finding,
    id: string,
    private readonly signal: AbortSignal
  ) {
    this.toggle = button('Show beside', { 'aria-expanded': 'false', 'data-testid': 'previous-toggle' }, () => void this.switch())
    getJson<{ jobs: Job[] }>(`${jobPath(id)}/previous`, signal).then(
      ({ jobs }) => this.offer(jobs),
      () => {}
    )
  }

  private offer(jobs: Job[]): void {
    this.jobs = jobs
    this.chosen = jobs[0] ?? null
    if (!this.chosen) return
    const options = jobs.map((j): [string, string] => [j.id, `${studyDate(j.study_date)}, ${percent(j.share_involved)}`])
    const choice = on(select({}, options, this.chosen.id), {
      change: () => {
        this.chosen = this.jobs.find((j) => j.id === choice.value) ?? null
        void this.showNumbers()
        if (this.viewer) void this.open()
      }
    })
    add(this.element, h('h2', { id: 'previous-title' }, 'Previous scan'), h('div', { class: 'field-row' }, labelled('Scan', choice), this.toggle), this.body)
    this.element.hidden = false
    void this.showNumbers()
  }

  private async showNumbers(): Promise<void> {
    const job = this.chosen
    if (!job) return
    try {
      const before = await getJson<Finding>(`${jobPath(job.id)}/finding`, this.signal)
      if (job !== this.chosen) return
      const link = h('a', { href: `/scan/${encodeURIComponent(job.id)}`, 'data-route': true }, 'Open the previous scan')
      replace(this.body, differences(this.finding, before), h('p', {}, link))
    } catch (error) {
      if (!this.signal.aborted) replace(this.body, h('p', {}, explain(error)))
    }
  }

  private async switch(): Promise<void> {
    if (this.viewer) this.hide()
    else await this.open()
  }

  private hide(): void {
    this.viewer?.close()
    this.viewer = null
    this.boxes = null
    this.picture.hidden = true
    this.picture.replaceChildren()
    this.setToggle(false)
    this.opened(false)
  }

  private setToggle(isOpen: boolean): void {
    setText(this.toggle, isOpen ? 'Hide' : 'Show beside')
    this.toggle.setAttribute('aria-expanded', String(isOpen))
  }

  private async open(): Promise<void> {
    const job = this.chosen
    if (!job) return
    this.hide()
    const canvas = h('canvas', { tabindex: '0', 'aria-label': 'Previous scan', 'data-testid': 'previous-canvas' })
    const caption = h('figcaption', {}, `Previous scan, ${studyDate(job.study_date)}`)
    add(this.picture, h('div', { class: 'frame' }, canvas), caption)
    this.picture.hidden = false
    this.setToggle(true)
    this.opened(true)
    try {
      const path = (name: string) => `${jobPath(job.id)}/files/preview/${name}.nii.gz`
      const [viewer, ...buffers] = await Promise.all([
        Viewer.create(canvas),
        ...(['ct', 'lungs', 'lesions'] as const).map((n) => fetchNifti(path(n), this.signal))
      ])
      viewer.hasKinds = this.current.hasKinds
      const [ct, lungs, lesions] = await Promise.all((['ct', 'lungs', 'lesions'] as const).map((n, i) => viewer.makeImage(n, buffers[i] ?? new ArrayBuffer(0))))
      if (this.picture.hidden || !ct || !lungs || !lesions) return viewer.close()
      this.viewer = viewer
      this.copyLook()
      viewer.show({ ct, lungs, lesions })
      viewer.layOut()
      new ResizeObserver(() => viewer.layOut()).observe(canvas)
      const [here, there] = [lungBox(this.current), lungBox(viewer)]
      this.boxes = here && there ? { here, there } : null
      viewer.moved = (mm) => this.lead(mm)
      this.follow(this.current.position())
    } catch (error) {
      if (!this.signal.aborted) replace(this.picture, h('p', { role: 'alert' }, explain(error)))
    }
  }

  /** Takes over layers, window and view of the current scan. */
  copyLook(): void {
    const { viewer, current } = this
    if (!viewer) return
    viewer.layers.lungs = { ...current.layers.lungs }
    viewer.layers.lesions = { ...current.layers.lesions }
    viewer.isOutline = current.isOutline
    if (viewer.view !== current.view) viewer.setView(current.view)
    viewer.window = { ...current.window }
    viewer.apply()
  }

  /** The cross-hair of the current scan moved. */
  follow(mm: Point): void {
    if (!this.viewer || !this.boxes || this.isFollowing) return
    this.isFollowing = true
    this.viewer.goTo(carryOver(mm, this.boxes.here, this.boxes.there))
    this.isFollowing = false
  }

  private lead(mm: Point): void {
    if (!this.boxes || this.isFollowing) return
    this.isFollowing = true
    this.current.goTo(carryOver(mm, this.boxes.there, this.boxes.here))
    this.isFollowing = false
  }

  close(): void {
    this.viewer?.close()
    this.viewer = null
  }
}
