import { announce } from '../core/announce'
import { explain, getJson, jobPath } from '../core/api'
import { add, button, h, replace, setText } from '../core/dom'
import { listen } from '../core/events'
import { stateName, studyDate, wholePercent } from '../core/format'
import { recallJob } from '../core/recent-jobs'
import { serverInfo } from '../core/server-info'
import type { Page } from '../core/router'
import type { Correction, Finding, Job, Lesion, ServerInfo } from '../core/types'
import { ReviewPanel } from '../correct/review'
import { downloadsPanel } from './downloads'
import { showHelp } from './help'
import { attachKeyboard } from './keyboard'
import { LayersPanel } from './layers-panel'
import { attachPointer } from './pointer'
import { PreviousScan } from './previous'
import { Readout } from './readout'
import { scanHead, Summary } from './summary'
import { involvementPanel, LesionTable } from './tables'
import { Toolbar, watchSize } from './toolbar'
import { takeViewer } from './spare-viewer'
import type { Plane, Point, Viewer } from './viewer'
import { Volumes } from './volumes'

const PLANE_NAMES = ['axial', 'coronal', 'sagittal'] as const

class ScanPage {
  readonly element = h('div', { class: 'scan' })
  private readonly ending = new AbortController()
  private readonly closers: (() => void)[] = []
  private readonly resolution = h('span', { class: 'resolution-text', 'data-testid': 'resolution', role: 'status' }, 'Loading the preview.')
  private readonly prepared = takeViewer()
  private readonly canvas = this.prepared.canvas
  private readonly frame = this.prepared.frame
  private readonly message = h('p', { class: 'scan-message', role: 'status' }, 'The scan is loading.')
  private readonly involvement = h('div')
  private review: ReviewPanel | null = null
  private plane: Plane = 0

  constructor(private readonly id: string) {
    add(this.element, this.message)
    delete document.documentElement.dataset['firstPicture']
    void this.start()
  }

  private get signal(): AbortSignal {
    return this.ending.signal
  }

  private async start(): Promise<void> {
    try {
      const known = recallJob(this.id)
      const job = known?.state === 'done' ? known : await getJson<Job>(jobPath(this.id), this.signal)
      document.title = `${job.name} – multirnet`
      if (job.state !== 'done') return this.showState(job)
      await this.open(job)
    } catch (error) {
      if (!this.signal.aborted) this.fail(error)
    }
  }

  private fail(error: unknown): void {
    const link = h('a', { href: '/', 'data-route': true }, 'Go to the work list')
    replace(this.element, h('div', { class: 'scan-message', role: 'alert' }, h('h1', {}, 'The scan cannot be shown'), h('p', {}, explain(error)), link))
  }

  /** A scan that is not done yet: shows its progress and opens it when it is done. */
  private showState(job: Job): void {
    const bar = h('progress', { max: 1, value: job.progress, 'aria-label': `Progress of ${job.name}` })
    const text = h('p', { role: 'status' })
    const update = (j: Job) => {
      bar.value = j.progress
      setText(text, j.error ? `${j.error.reason} ${j.error.hint ?? ''}` : `${stateName(j.state)}, ${wholePercent(j.progress)}`)
    }
    update(job)
    replace(this.element, h('div', { class: 'scan-message' }, scanHead(job), bar, text))
    const stop = listen({
      job: (j) => {
        if (j.id !== this.id) return
        update(j)
        if (j.state !== 'done') return
        stop()
        void this.start()
      }
    })
    this.closers.push(stop)
  }

  private async open(job: Job): Promise<void> {
    // Everything that the first picture needs is asked for at once.
    const volumes = new Volumes(this.id, this.signal)
    const base = jobPath(this.id)
    const documents = Promise.all([
      getJson<Finding>(`${base}/finding`, this.signal),
      getJson<{ lesions: Lesion[] }>(`${base}/lesions`, this.signal),
      getJson<{ corrections: Correction[] }>(`${base}/corrections`, this.signal),
      serverInfo()
    ])
    documents.catch(() => {})
    const figure = h('figure', { class: 'picture' }, this.frame)
    const pictures = h('div', { class: 'pictures' }, figure)
    const column = h('div', { class: 'picture-column' }, pictures)
    const side = h('aside', { class: 'side', 'aria-label': 'Result and review', tabindex: '0' })
    replace(this.element, h('div', { class: 'scan-bar' }, scanHead(job), this.resolution), h('div', { class: 'scan-body' }, column, side))
    const viewer = await this.prepared.viewer
    if (this.signal.aborted) return
    const [finding, { lesions }, { corrections }, server] = await documents
    viewer.hasKinds = (finding.lesion_kinds?.length ?? 0) > 0
    this.exposeViewer(viewer)
    // The controls come first. The canvas then has its final size, and the picture is drawn once.
    this.build({ job, finding, lesions, corrections, server, viewer, volumes, column, figure, pictures, side })
    viewer.layOut()
    const latest = corrections.filter((c) => c.has_mask).at(-1)?.version ?? 0
    await volumes.showPreviews(viewer, latest, lesions[0] ? toRas(lesions[0]) : null)
    if (this.signal.aborted) return
    this.markFirstPicture(viewer)
    if (latest > 0) await this.review?.choose(latest)
    // The values under the pointer include the probability, also while its layer is off.
    void volumes.loadLazily(viewer, 'probability').then(() => viewer.moved(viewer.position()))
    if (viewer.isSoftware) this.offerFull(viewer, volumes)
    else await this.loadFull(viewer, volumes)
  }

  private exposeViewer(viewer: Viewer): void {
    // Tests and people who look for a fault read the state of NiiVue here.
    Object.defineProperty(window, '__viewer', { value: Object.freeze({ nv: viewer.nv }), configurable: true })
  }

  private markFirstPicture(viewer: Viewer): void {
    viewer.nv.gl.finish()
    requestAnimationFrame(() => {
      performance.mark('first-picture')
      document.documentElement.dataset['firstPicture'] = '1'
    })
  }

  private build(o: {
    job: Job
    finding: Finding
    lesions: Lesion[]
    corrections: Correction[]
    server: ServerInfo
    viewer: Viewer
    volumes: Volumes
    column: HTMLElement
    figure: HTMLElement
    pictures: HTMLElement
    side: HTMLElement
  }): void {
    const { viewer, volumes, finding, job, server } = o
    const help = () => void showHelp()
    const readout = new Readout(viewer, (mm) => this.lesionLabel(viewer, mm))
    const summary = new Summary(finding, server.model.validation_notice)
    const previous = new PreviousScan(viewer, finding, job.id, this.signal)
    const lesionTable = new LesionTable(o.lesions, (lesion) => this.jump(viewer, lesion))
    const review = new ReviewPanel({
      viewer,
      job,
      finding,
      user: server.user,
      signal: this.signal,
      loadFull: () => this.loadFull(viewer, volumes),
      lesionFile: () => volumes.lesionFile,
      showVersion: (version) => volumes.showVersion(viewer, version),
      showNumbers: (correction) => {
        summary.show(correction)
        summary.showReview(review.corrections)
        this.showInvolvement(finding, correction)
      },
      modeChanged: (isCorrecting) => this.element.classList.toggle('is-correcting', isCorrecting)
    })
    this.review = review
    const toolbar = new Toolbar(viewer, help)
    const windowed = viewer.windowed
    viewer.windowed = (w) => {
      windowed(w)
      previous.copyLook()
    }
    const layers = new LayersPanel(viewer, viewer.hasKinds, (name) => volumes.loadLazily(viewer, name), () => {
      review.showOpacity()
      previous.copyLook()
      readout.update()
    })
    viewer.moved = (mm) => {
      readout.update()
      readout.speakSoon()
      previous.follow(mm)
      this.describe(viewer)
    }
    o.column.prepend(toolbar.element)
    add(o.column, readout.element)
    add(o.pictures, previous.picture)
    const caption = h('figcaption', { hidden: true }, `This scan, ${studyDate(job.study_date)}`)
    add(o.figure, caption)
    previous.opened = (isOpen) => (caption.hidden = !isOpen)
    add(
      o.side,
      summary.element,
      layers.element,
      h('section', { class: 'panel', 'aria-labelledby': 'lesions-title' }, h('h2', { id: 'lesions-title' }, 'Lesions'), lesionTable.element),
      review.element,
      h('section', { class: 'panel', 'aria-labelledby': 'involvement-title' }, h('h2', { id: 'involvement-title' }, 'Involvement'), this.involvement),
      previous.element,
      downloadsPanel(job.id, volumes.files, this.signal)
    )
    attachPointer(viewer, this.frame, {
      hover: (at) => {
        if (at) this.plane = at.plane
        readout.hover(at)
      },
      strokeStart: (at) => review.stroke(at),
      strokeMove: (at) => review.drawing?.move(at.mm),
      strokeEnd: () => review.strokeEnd()
    })
    const setPlane = (plane: Plane) => {
      this.plane = plane
      announce(`The arrow keys act on the ${PLANE_NAMES[plane]} plane.`)
    }
    const endKeys = attachKeyboard({ viewer, toolbar, layers, lesions: lesionTable, review, plane: () => this.plane, setPlane, help })
    const guard = (event: BeforeUnloadEvent) => review.hasChanges && event.preventDefault()
    window.addEventListener('beforeunload', guard)
    this.closers.push(endKeys, watchSize(viewer), () => readout.close(), () => previous.close(), () => window.removeEventListener('beforeunload', guard))
    review.take(o.corrections)
    review.mark(0)
  }

  private describe(viewer: Viewer): void {
    const [x, y, z] = viewer.voxel(viewer.position())
    this.canvas.setAttribute('aria-label', `CT of the chest, cross-hair at voxel ${x}, ${y}, ${z}. Press ? for the keys.`)
  }

  private showInvolvement(finding: Finding, correction: Correction | null): void {
    if (correction?.involvement) {
      const source = `Measured on version ${correction.version} by ${correction.reviewer}.`
      replace(this.involvement, ...involvementPanel(correction.involvement, correction.lesion_kinds, source))
    } else {
      replace(this.involvement, ...involvementPanel(finding.involvement, finding.lesion_kinds ?? [], 'Measured on the lesions of the model.'))
    }
  }

  private lesionLabel(viewer: Viewer, mm: Point): string | null {
    const label = this.review?.drawing?.labelAt(mm) ?? viewer.valueAt(viewer.image('lesions'), mm)
    if (!label) return null
    if (!viewer.hasKinds) return 'lesion'
    return label === 1 ? 'ground glass' : 'consolidation'
  }

  private jump(viewer: Viewer, lesion: Lesion): void {
    viewer.goTo(toRas(lesion))
    announce(`Lesion ${lesion.id}`)
  }

  private offerFull(viewer: Viewer, volumes: Volumes): void {
    if (volumes.isFull) return
    const load = button('Load full resolution', { class: 'quiet', 'data-testid': 'load-full' }, () => {
      load.disabled = true
      void this.loadFull(viewer, volumes)
    })
    replace(this.resolution, 'Preview, 2 mm. ', load)
  }

  private async loadFull(viewer: Viewer, volumes: Volumes): Promise<void> {
    if (volumes.isFull) return
    const text = h('span', {}, 'Preview, 2 mm. Full resolution is loading.')
    replace(this.resolution, text)
    try {
      await volumes.loadFull(viewer, (share) => setText(text, `Preview, 2 mm. Full resolution: ${share}.`))
      if (this.signal.aborted) return
      const spacing = viewer.ct?.pixDimsRAS?.slice(1, 4).map((v) => v.toFixed(1)) ?? []
      const note = viewer.is3dOff ? '. The four views leave 3D out.' : ''
      setText(this.resolution, `Full resolution, ${spacing.join(' × ')} mm${note}`)
    } catch (error) {
      if (this.signal.aborted) return
      replace(this.resolution, `${explain(error)} `)
      add(this.resolution, button('Load full resolution', { class: 'quiet', 'data-testid': 'load-full' }, () => void this.loadFull(viewer, volumes)))
      throw error
    }
  }

  async mayLeave(): Promise<boolean> {
    return this.review?.hasChanges ? await this.review.leave() : true
  }

  close(): void {
    this.ending.abort()
    void this.prepared.viewer.then((viewer) => viewer.close()).catch(() => {})
    for (const close of this.closers) close()
    Reflect.deleteProperty(window, '__viewer')
  }
}

// The server gives positions towards the left and the back, NiiVue takes them towards the right and
// the front.
function toRas(lesion: Lesion): Point {
  const [x, y, z] = lesion.centre_lps_mm
  return [-x, -y, z]
}

export function scanPage(id: string): Page {
  const page = new ScanPage(id)
  return { title: 'Scan', element: page.element, close: () => page.close(), mayLeave: () => page.mayLeave() }
}
