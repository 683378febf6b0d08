import { announce } from '../core/announce'
import { explain, getJson, jobPath } from '../core/api'
import { confirmDialog } from '../core/dialog'
import { add, h } from '../core/dom'
import { lesionMap } from '../scan/colours'
import type { Correction, Finding, Job } from '../core/types'
import type { Plane, Point, Viewer } from '../scan/viewer'
import { Drawing } from './drawing'
import { ReviewForm } from './review-form'
import { saveReview, type Review } from './save'
import { CorrectionTools } from './tools'
import { Versions } from './versions'

/** What the review needs from the page. */
export interface ReviewHost {
  viewer: Viewer
  job: Job
  finding: Finding
  user: string | null
  signal: AbortSignal
  /** Loads the scan and the shown lesion map at full resolution. */
  loadFull: () => Promise<void>
  /** The file of the shown lesion map. */
  lesionFile: () => ArrayBuffer | null
  showVersion: (version: number) => Promise<void>
  /** Shows numbers of a version, null for those of the model. */
  showNumbers: (correction: Correction | null) => void
  modeChanged: (isCorrecting: boolean) => void
}

/** Confirmation, correction and the versions of a scan. */
export class ReviewPanel {
  readonly element = h('section', { class: 'panel review', 'aria-labelledby': 'review-title' })
  readonly tools: CorrectionTools
  corrections: Correction[] = []
  drawing: Drawing | null = null
  private readonly form: ReviewForm
  private readonly versions: Versions
  private readonly editor = h('div', { class: 'editor', hidden: true })

  constructor(private readonly host: ReviewHost) {
    const { finding, job, user } = host
    this.tools = new CorrectionTools((finding.lesion_kinds?.length ?? 0) > 0, () => this.update())
    this.form = new ReviewForm(
      user,
      job.diagnosis ?? finding.diagnosis,
      {
        confirm: () => void this.confirm(),
        correct: () => void this.start(),
        save: () => void this.save(),
        discard: () => void this.leave()
      },
      () => this.update()
    )
    this.versions = new Versions(job.id, job.format === 'dicom', (v) => void this.choose(v))
    add(this.editor, this.tools.element, this.form.what)
    add(
      this.element,
      h('h2', { id: 'review-title' }, 'Review'),
      this.form.who,
      h('div', { class: 'row-actions' }, this.form.confirmButton, this.form.correctButton),
      this.editor,
      this.form.statusLine,
      this.versions.element
    )
  }

  get isCorrecting(): boolean {
    return this.drawing !== null
  }

  get shownVersion(): number {
    return this.versions.shown
  }

  get hasChanges(): boolean {
    return (this.drawing?.history.hasChanges ?? false) || (this.isCorrecting && this.form.diagnosis !== null)
  }

  /** Takes the list of corrections; returns the version whose map is the latest. */
  take(corrections: Correction[]): number {
    this.corrections = corrections
    const latest = corrections.filter((c) => c.has_mask).at(-1)?.version ?? 0
    this.versions.show(corrections, this.host.finding.provenance.model)
    return latest
  }

  async choose(version: number): Promise<void> {
    if (this.isCorrecting && !(await this.leave())) return
    try {
      await this.host.showVersion(version)
    } catch (error) {
      if (!this.host.signal.aborted) this.form.say(explain(error), true)
      return
    }
    this.mark(version)
    announce(version === 0 ? 'The result of the model is shown.' : `Version ${version} is shown.`)
  }

  mark(version: number): void {
    this.versions.mark(version)
    this.host.showNumbers(this.corrections.find((c) => c.version === version) ?? null)
  }

  async start(): Promise<void> {
    if (this.isCorrecting) return
    this.form.setBusy(true)
    this.form.say('The scan is loaded at full resolution.')
    try {
      await this.host.loadFull()
      const { viewer } = this.host
      const lesions = viewer.image('lesions')
      if (!lesions) throw new Error('The lesion map is not loaded.')
      this.drawing = new Drawing(viewer, lesions, lesionMap(viewer.hasKinds), this.tools.settings)
      viewer.areLesionsHidden = true
      viewer.apply()
      this.showOpacity()
      this.tools.attach(this.drawing)
      this.setMode(true)
      this.element.scrollIntoView({ block: 'start' })
      this.form.say(this.versions.shown === 0 ? "You correct the model's lesions." : `You correct version ${this.versions.shown}.`)
    } catch (error) {
      this.drawing = null
      if (!this.host.signal.aborted) this.form.say(explain(error), true)
    } finally {
      this.form.setBusy(false)
      this.update()
    }
  }

  private setMode(isCorrecting: boolean): void {
    this.editor.hidden = !isCorrecting
    this.form.correctButton.hidden = isCorrecting
    this.form.confirmButton.hidden = isCorrecting
    this.host.modeChanged(isCorrecting)
  }

  /** Shows the drawing with the opacity of the lesion layer. */
  showOpacity(): void {
    const { layers, isOutline } = this.host.viewer
    this.drawing?.setOpacity(layers.lesions.isOn ? layers.lesions.opacity : 0, isOutline && layers.lesions.isOn)
  }

  private update(): void {
    this.form.saveButton.disabled = !this.hasChanges
  }

  /** Ends the correction; asks first if something would be lost. Returns whether it ended. */
  async leave(): Promise<boolean> {
    if (this.hasChanges) {
      const text = 'Your changes to this scan are not saved. They are lost if you leave.'
      if (!(await confirmDialog('Leave without saving?', text, 'Leave'))) return false
    }
    this.end()
    this.form.say('')
    return true
  }

  private end(): void {
    this.drawing?.close()
    this.drawing = null
    this.form.clear()
    this.host.viewer.areLesionsHidden = false
    this.host.viewer.apply()
    this.setMode(false)
  }

  private async confirm(): Promise<void> {
    const reviewer = this.form.reviewer()
    if (!reviewer) return
    await this.send({ reviewer, reason: '', verdict: 'confirmed', diagnosis: null }, null)
  }

  private async save(): Promise<void> {
    const reviewer = this.form.reviewer()
    if (!reviewer) return
    const reason = this.form.reason()
    if (!reason) return
    const like = this.host.lesionFile()
    const mask = this.drawing?.history.hasChanges && like ? { like, voxels: this.drawing.voxels() } : null
    await this.send({ reviewer, reason, verdict: 'corrected', diagnosis: this.form.diagnosis }, mask)
  }

  private async send(review: Review, mask: { like: ArrayBuffer; voxels: Uint8Array } | null): Promise<void> {
    const { id } = this.host.job
    this.form.setBusy(true)
    try {
      const saved = await saveReview(id, review, mask, (text) => this.form.say(text))
      // What is saved is not lost any more, so leaving must not ask.
      if (this.isCorrecting) this.end()
      const { corrections } = await getJson<{ corrections: Correction[] }>(`${jobPath(id)}/corrections`)
      this.take(corrections)
      if (saved.has_mask) await this.choose(saved.version)
      else this.mark(this.versions.shown)
      this.form.say(`Version ${saved.version} is saved.`)
    } catch (error) {
      this.form.say(explain(error), true)
    } finally {
      this.form.setBusy(false)
      this.update()
    }
  }

  stroke(at: { plane: Plane; mm: Point }): boolean {
    const { drawing } = this
    if (!drawing) return false
    if (this.tools.settings.brush === 'fill') {
      const isClosed = drawing.fill(at.plane, at.mm)
      this.form.say(isClosed ? '' : 'The region is not closed. Close its border first.', !isClosed)
      this.tools.update()
    } else drawing.start(at.plane, at.mm)
    return true
  }

  strokeEnd(): void {
    this.drawing?.end()
    this.tools.update()
  }

  /** Applies the brush at the cross-hair, for people who use the keyboard. */
  dab(plane: Plane, mm: Point): void {
    if (this.stroke({ plane, mm })) this.strokeEnd()
  }
}
