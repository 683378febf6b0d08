import type { NVImage, Niivue } from '@niivue/niivue'
import { COLOURS, ctMap, HEAT_MAP, labelMap, lesionMap, PROBABILITY_MAP, type ColourMap } from './colours'
import { skipHistogram } from './hu-range'
import { layoutFor, type View } from './layout'
import { loadViewerLibrary } from './load-viewer'
import { mouseButtons, viewerOptions, type Tool } from './options'
import { tinyScan } from './tiny-scan'

export type LayerName = 'lungs' | 'lesions' | 'probability' | 'heatmap'
export type Plane = 0 | 1 | 2
export type Point = [number, number, number]

export interface LayerState {
  isOn: boolean
  opacity: number
}

export interface HuWindow {
  centre: number
  width: number
}

export const LUNG_WINDOW: HuWindow = { centre: -600, width: 1500 }
export const MEDIASTINUM_WINDOW: HuWindow = { centre: 40, width: 400 }
export const LAYERS: readonly LayerName[] = ['lungs', 'lesions', 'probability', 'heatmap']

const LABEL_INTENT = 1002
// A fill of 0 would make NiiVue leave the layer out, and its outline with it.
const FAINT = 0.01
const LUNG_FILL = 0.12

type Images = Partial<Record<LayerName, NVImage>>

/** NiiVue with the settings, layers and window of a chest CT. */
export class Viewer {
  readonly layers: Record<LayerName, LayerState> = {
    lungs: { isOn: false, opacity: 0.6 },
    lesions: { isOn: true, opacity: 0.55 },
    probability: { isOn: false, opacity: 0.6 },
    heatmap: { isOn: false, opacity: 0.5 }
  }
  window: HuWindow = { ...LUNG_WINDOW }
  isOutline = false
  /** In correction mode the drawing stands in for the lesion layer. */
  areLesionsHidden = false
  view: View = 'four'
  /** Leaves the 3D view out beside the planes. A software renderer needs seconds for it. */
  is3dOff = false
  /** Whether the lesion map tells ground glass from consolidation. Set before images are made. */
  hasKinds = false
  moved: (mm: Point) => void = () => {}
  windowed: (window: HuWindow) => void = () => {}
  ct: NVImage | null = null
  private images: Images = {}
  private drawnCt: NVImage | null = null
  private nothing: NVImage | null = null
  private frame = 0
  private restTimer = 0
  private is3dPaused = false

  private constructor(
    readonly nv: Niivue,
    private readonly library: typeof import('@niivue/niivue'),
    readonly canvas: HTMLCanvasElement,
    readonly isSoftware: boolean
  ) {}

  static async create(canvas: HTMLCanvasElement): Promise<Viewer> {
    const library = await loadViewerLibrary()
    const { Niivue, DRAG_MODE } = library
    skipHistogram(library.NVImage)
    const nv = new Niivue(viewerOptions(DRAG_MODE))
    await nv.attachToCanvas(canvas)
    const info = nv.gl.getExtension('WEBGL_debug_renderer_info')
    const renderer = String(nv.gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : nv.gl.RENDERER))
    const isSoftware = /swiftshader|llvmpipe|software/i.test(renderer)
    const viewer = new Viewer(nv, library, canvas, isSoftware)
    viewer.prepare()
    viewer.nothing = await viewer.makeImage('lungs', tinyScan(true))
    return viewer
  }

  private prepare(): void {
    const { nv } = this
    nv.addColormap('multirnet-probability', PROBABILITY_MAP)
    nv.addColormap('multirnet-heat', HEAT_MAP)
    nv.drawOpacity = 0
    nv.setRenderAzimuthElevation(180, 12)
    nv.onLocationChange = () => this.moved(this.position())
    nv.onIntensityChange = () => this.readWindow()
    // NiiVue has one outline setting for all label maps. The lungs are always drawn as outlines.
    const refresh = nv.refreshLayers.bind(nv)
    nv.refreshLayers = (image, layer) => {
      nv.opts.atlasOutline = image === this.images.lungs ? this.layers.lungs.opacity : this.isOutline ? 1 : 0
      refresh(image, layer)
    }
    const draw3d = nv.draw3D.bind(nv)
    nv.draw3D = (...parameters) => {
      if (this.is3dPaused || (this.is3dOff && this.view !== '3d')) return ''
      return draw3d(...parameters)
    }
  }

  /** A software renderer needs long for the 3D view. It waits until the person pauses. */
  private restFrom3d(): void {
    if (!this.isSoftware) return
    this.is3dPaused = true
    clearTimeout(this.restTimer)
    this.restTimer = window.setTimeout(() => {
      this.is3dPaused = false
      this.nv.drawScene()
    }, 500)
  }

  /** Call before every interaction. */
  touch(): void {
    this.restFrom3d()
  }

  async makeImage(name: LayerName | 'ct', buffer: ArrayBuffer): Promise<NVImage> {
    const isLabels = name === 'lungs' || name === 'lesions'
    const colormap = name === 'probability' ? 'multirnet-probability' : name === 'heatmap' ? 'multirnet-heat' : 'gray'
    const [low, high] = name === 'ct' ? this.range() : isLabels ? [0, 2] : [0, 1]
    const url = `${name}.nii`
    const image = await this.library.NVImage.loadFromUrl({ url, name: url, buffer, colormap, cal_min: low, cal_max: high, trustCalMinMax: true })
    if (!image.hdr) throw new Error(`The file ${url} of this scan is not readable.`)
    image.cal_min = low
    image.cal_max = high
    if (isLabels) {
      image.hdr.intent_code = LABEL_INTENT
      image.setColormapLabel(
        name === 'lesions'
          ? lesionMap(this.hasKinds)
          : labelMap([
              ['right lung', COLOURS.lungs],
              ['left lung', COLOURS.lungs]
            ])
      )
    }
    return image
  }

  /**
   * Shows other images and keeps the cross-hair, window, zoom and layers as they are. `start` is
   * the cross-hair of the first picture.
   */
  show(images: Images & { ct?: NVImage }, start: Point | null = null): void {
    const { nv } = this
    const at = this.ct ? this.position() : start
    this.pauseFirst3d(this.ct === null)
    if (images.ct) this.ct = images.ct
    for (const name of LAYERS) if (images[name]) this.images[name] = images[name]
    if (!this.ct) return
    nv.volumes = [this.ct]
    if (at) nv.scene.crosshairPos = this.fraction(at)
    this.apply()
    this.moved(this.position())
  }

  /** Keeps an image without drawing it. */
  keep(name: LayerName, image: NVImage): void {
    this.images[name] = image
  }

  private pauseFirst3d(isFirst: boolean): void {
    // The planes are what the person waits for. The 3D view follows.
    if (!isFirst) return
    this.is3dPaused = true
    clearTimeout(this.restTimer)
    this.restTimer = window.setTimeout(() => {
      this.is3dPaused = false
      this.nv.drawScene()
    }, 300)
  }

  has(name: LayerName): boolean {
    return this.images[name] !== undefined
  }

  image(name: LayerName): NVImage | null {
    return this.images[name] ?? null
  }

  /** Brings NiiVue to the state of `layers`, `window` and `isOutline`. */
  apply(): void {
    const { nv, ct } = this
    if (!ct) return
    const overlays = this.visibleLayers()
    nv.volumes = [ct, ...overlays]
    nv.back = ct
    nv.overlays = overlays
    this.restFrom3d()
    if (this.drawnCt !== ct) {
      this.setRange()
      nv.updateGLVolume()
      this.drawnCt = ct
      return
    }
    // The CT is the same, and sending it again to the graphics card would take most of the time.
    overlays.forEach((image, i) => nv.refreshLayers(image, i + 1))
    nv.drawScene()
  }

  private visibleLayers(): NVImage[] {
    const shown: NVImage[] = []
    for (const name of LAYERS) {
      const image = this.images[name]
      const { isOn, opacity } = this.layers[name]
      if (!image || !isOn || opacity === 0 || (name === 'lesions' && this.areLesionsHidden)) continue
      const isFaint = name === 'lesions' && this.isOutline
      image.opacity = name === 'lungs' ? LUNG_FILL * opacity : isFaint ? FAINT : opacity
      shown.push(image)
    }
    // NiiVue clears its overlay only when it draws one, so an empty layer replaces the last.
    if (shown.length === 0 && this.nothing) shown.push(this.nothing)
    return shown
  }

  /** Applies at the next frame. A slider sends more changes than frames. */
  applySoon(): void {
    if (this.frame) return
    this.frame = requestAnimationFrame(() => {
      this.frame = 0
      this.apply()
    })
  }

  private range(): [number, number] {
    return [this.window.centre - this.window.width / 2, this.window.centre + this.window.width / 2]
  }

  private setRange(): void {
    const [low, high] = this.range()
    if (!this.ct) return
    this.nv.addColormap('multirnet-ct', ctMap(low, high) as ColourMap)
    this.ct.colormap = 'multirnet-ct'
    this.ct.cal_min = low
    this.ct.cal_max = high
  }

  setWindow(next: HuWindow): void {
    this.window = { centre: Math.round(next.centre), width: Math.max(1, Math.round(next.width)) }
    this.setRange()
    this.windowed(this.window)
    if (!this.ct) return
    this.restFrom3d()
    this.nv.refreshLayers(this.ct, 0)
    this.nv.drawScene()
  }

  /** Takes over a window that the person set by dragging. */
  readWindow(): void {
    const { ct } = this
    if (!ct || ct.cal_min === undefined || ct.cal_max === undefined) return
    const next = { centre: Math.round((ct.cal_min + ct.cal_max) / 2), width: Math.round(ct.cal_max - ct.cal_min) }
    if (next.centre === this.window.centre && next.width === this.window.width) return
    this.window = next
    this.windowed(next)
  }

  setTool(tool: Tool): void {
    this.nv.setMouseEventConfig(mouseButtons(this.library.DRAG_MODE, tool))
  }

  setView(view: View): void {
    this.view = view
    this.layOut()
  }

  /** Divides the canvas among the views, by its shape. */
  layOut(): void {
    const { SLICE_TYPE } = this.library
    const { clientWidth: w, clientHeight: ht } = this.canvas
    this.nv.setCustomLayout(layoutFor(this.view, w / Math.max(1, ht), SLICE_TYPE))
  }

  /** The cross-hair in millimetres, RAS. */
  position(): Point {
    const mm = this.nv.frac2mm(this.nv.scene.crosshairPos, 0, true)
    return [mm[0], mm[1], mm[2]]
  }

  goTo(mm: Point): void {
    this.nv.scene.crosshairPos = this.fraction(mm)
    this.restFrom3d()
    this.nv.drawScene()
    this.moved(this.position())
  }

  private fraction(mm: Point): Point {
    const clamp = (v: number) => Math.min(1, Math.max(0, v))
    const f = this.nv.mm2frac(mm, 0, true)
    return [clamp(f[0]), clamp(f[1]), clamp(f[2])]
  }

  /** Moves the cross-hair by voxels of the grid that is shown. */
  step(x: number, y: number, z: number): void {
    this.restFrom3d()
    this.nv.moveCrosshairInVox(x, y, z)
  }

  /** Zooms about the cross-hair. */
  zoom(factor: number): void {
    const pan = this.nv.scene.pan2Dxyzmm
    const zoom = Math.min(10, Math.max(0.5, pan[3] * factor))
    const change = pan[3] - zoom
    const mm = this.position()
    this.restFrom3d()
    this.nv.setPan2Dxyzmm([pan[0] + change * mm[0], pan[1] + change * mm[1], pan[2] + change * mm[2], zoom])
  }

  resetView(): void {
    this.restFrom3d()
    this.nv.setPan2Dxyzmm([0, 0, 0, 1])
  }

  turn(azimuth: number, elevation: number): void {
    const { scene } = this.nv
    this.nv.setRenderAzimuthElevation(scene.renderAzimuth + azimuth, scene.renderElevation + elevation)
  }

  /** The number of voxels of the grid that is shown, along right–left, back–front, feet–head. */
  size(): Point {
    const d = this.ct?.dimsRAS
    return [d?.[1] ?? 1, d?.[2] ?? 1, d?.[3] ?? 1]
  }

  voxel(mm: Point): Point {
    const v = this.nv.frac2vox(this.nv.mm2frac(mm, 0, true))
    return [v[0], v[1], v[2]]
  }

  /** The value of an image at a point, or null outside. */
  valueAt(image: NVImage | null, mm: Point): number | null {
    if (!image?.dimsRAS) return null
    const v = image.mm2vox(mm)
    const [x, y, z] = [v[0] ?? -1, v[1] ?? -1, v[2] ?? -1]
    const [, nx = 0, ny = 0, nz = 0] = image.dimsRAS
    if (x < 0 || y < 0 || z < 0 || x >= nx || y >= ny || z >= nz) return null
    return image.getValue(x, y, z)
  }

  /** The tile under a point of the page: its plane and position, or null. */
  pick(clientX: number, clientY: number): { plane: Plane; mm: Point } | null {
    if (!this.ct) return null
    const box = this.canvas.getBoundingClientRect()
    const dpr = this.nv.uiData.dpr ?? 1
    const [x, y] = [(clientX - box.left) * dpr, (clientY - box.top) * dpr]
    const tile = this.nv.tileIndex(x, y)
    const plane = tile >= 0 ? this.nv.screenSlices[tile]?.axCorSag : undefined
    if (plane === undefined || plane > 2) return null
    const f = this.nv.canvasPos2frac([x, y])
    if (f[0] < 0) return null
    const mm = this.nv.frac2mm(f, 0, true)
    return { plane: plane as Plane, mm: [mm[0], mm[1], mm[2]] }
  }

  /** The colours of a drawing in NiiVue's form. */
  labelTable(colours: ColourMap): Niivue['drawLut'] {
    // The type of makeDrawLut names a colour map by its key only. The function takes a map as well.
    return this.library.cmapper.makeDrawLut(colours as unknown as string)
  }

  /** Forgets the images. The next ones count as the first. */
  clear(): void {
    this.ct = null
    this.drawnCt = null
    this.images = {}
    this.nv.volumes = []
    this.nv.back = null
    this.nv.overlays = []
    clearTimeout(this.restTimer)
    this.is3dPaused = false
  }

  close(): void {
    clearTimeout(this.restTimer)
    cancelAnimationFrame(this.frame)
    this.nv.cleanup()
    this.nv.gl.getExtension('WEBGL_lose_context')?.loseContext()
  }
}
