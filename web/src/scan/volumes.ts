import { getJson, jobPath } from '../core/api'
import { wholePercent } from '../core/format'
import type { ResultFile } from '../core/types'
import { fetchNifti } from './nifti'
import type { LayerName, Point, Viewer } from './viewer'

// A software renderer draws this many voxels in about a second.
const MOST_VOXELS_IN_3D = 12_000_000

/** The image data of one scan: small previews first, full resolution afterwards. */
export class Volumes {
  isFull = false
  version = 0
  /** The file of the shown lesion map, at full resolution. */
  lesionFile: ArrayBuffer | null = null
  private readonly previews: Record<'ct' | 'lungs' | 'lesions', Promise<ArrayBuffer>>
  readonly files: Promise<ResultFile[]>
  private full: Promise<void> | null = null

  constructor(
    private readonly id: string,
    private readonly signal: AbortSignal
  ) {
    this.previews = { ct: this.preview('ct'), lungs: this.preview('lungs'), lesions: this.preview('lesions') }
    this.files = getJson<{ files: ResultFile[] }>(`${jobPath(id)}/files`, signal).then((answer) => answer.files)
    this.files.catch(() => {})
    // The page awaits them later. Until then a failure is not unhandled.
    for (const p of Object.values(this.previews)) p.catch(() => {})
  }

  private preview(name: string): Promise<ArrayBuffer> {
    return fetchNifti(`${jobPath(this.id)}/files/preview/${name}.nii.gz`, this.signal)
  }

  /** Shows the previews. A corrected lesion map has no preview and follows. */
  async showPreviews(viewer: Viewer, version: number, start: Point | null): Promise<void> {
    const [ct, lungs, lesions] = await Promise.all([this.previews.ct, this.previews.lungs, this.previews.lesions])
    const images = await Promise.all([viewer.makeImage('ct', ct), viewer.makeImage('lungs', lungs), viewer.makeImage('lesions', lesions)])
    const [first, second, third] = images
    viewer.show(version === 0 ? { ct: first, lungs: second, lesions: third } : { ct: first, lungs: second }, start)
  }

  /** Loads the probability or the heat map. Returns false if the scan does not have it. */
  async loadLazily(viewer: Viewer, name: LayerName): Promise<boolean> {
    if (viewer.has(name)) return true
    if (name !== 'probability' && name !== 'heatmap') return false
    try {
      const files = await this.files
      if (!files.some((f) => f.name === `${name}.nii.gz` || f.name === `preview/${name}.nii.gz`)) return false
      viewer.keep(name, await viewer.makeImage(name, await this.preview(name)))
      return true
    } catch {
      return false
    }
  }

  private lesionPath(version: number): string {
    const base = jobPath(this.id)
    return version === 0 ? `${base}/files/lesions.nii.gz` : `${base}/corrections/${version}/lesions.nii.gz`
  }

  async showVersion(viewer: Viewer, version: number): Promise<void> {
    const isPreview = version === 0 && !this.isFull
    const buffer = isPreview ? await this.previews.lesions : await fetchNifti(this.lesionPath(version), this.signal)
    this.lesionFile = isPreview ? null : buffer
    this.version = version
    viewer.show({ lesions: await viewer.makeImage('lesions', buffer) })
  }

  /** Loads the scan at full resolution, once. */
  loadFull(viewer: Viewer, progress: (text: string) => void): Promise<void> {
    this.full ??= this.fetchFull(viewer, progress).catch((error: unknown) => {
      this.full = null
      throw error
    })
    return this.full
  }

  private async fetchFull(viewer: Viewer, progress: (text: string) => void): Promise<void> {
    const base = jobPath(this.id)
    const version = this.version
    const [ctFile, lungFile, lesionFile] = await Promise.all([
      fetchNifti(`${base}/ct.nii`, this.signal, (share) => progress(wholePercent(share))),
      fetchNifti(`${base}/files/lungs.nii.gz`, this.signal),
      fetchNifti(this.lesionPath(version), this.signal)
    ])
    const [ct, lungs, lesions] = await Promise.all([viewer.makeImage('ct', ctFile), viewer.makeImage('lungs', lungFile), viewer.makeImage('lesions', lesionFile)])
    if (this.signal.aborted) return
    this.isFull = true
    viewer.is3dOff = viewer.isSoftware && (ct.nVox3D ?? 0) > MOST_VOXELS_IN_3D
    if (version === this.version) {
      this.lesionFile = lesionFile
      viewer.show({ ct, lungs, lesions })
    } else {
      // The person chose another version meanwhile. Its map is loaded again on the full grid.
      viewer.show({ ct, lungs })
      await this.showVersion(viewer, this.version)
    }
  }
}
