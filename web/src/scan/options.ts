import type { DRAG_MODE, NVConfigOptions } from '@niivue/niivue'

/** What the left mouse button does. */
export type Tool = 'crosshair' | 'window' | 'pan' | 'measure'

type DragModes = typeof DRAG_MODE

const YELLOW = [0.94, 0.89, 0.26]

export function mouseButtons(modes: DragModes, tool: Tool): NonNullable<NVConfigOptions['mouseEventConfig']> {
  const primary = {
    crosshair: modes.crosshair,
    window: modes.windowing,
    pan: modes.pan,
    measure: modes.measurement
  }[tool]
  return {
    leftButton: { primary, withShift: modes.pan },
    rightButton: modes.windowing,
    centerButton: modes.pan
  }
}

/** NiiVue's options for reading a chest CT. */
export function viewerOptions(modes: DragModes): Partial<NVConfigOptions> {
  return {
    logLevel: 'error',
    loadingText: '',
    // The patient's right is on the left of the picture.
    isRadiologicalConvention: true,
    sagittalNoseLeft: true,
    isSliceMM: true,
    showAllOrientationMarkers: true,
    dragAndDropEnabled: false,
    crosshairColor: [...YELLOW, 0.8],
    crosshairWidth: 0.8,
    crosshairWidthUnit: 'mm',
    crosshairGap: 8,
    // Purple of Okabe and Ito: the letters are read over black, bone and lung.
    fontColor: [0.87, 0.5, 0.7, 1],
    fontMinPx: 14,
    measureLineColor: [...YELLOW, 1],
    measureTextColor: [...YELLOW, 1],
    measureTextHeight: 0.06,
    rulerColor: [...YELLOW, 1],
    isAntiAlias: false,
    trustCalMinMax: true,
    // The page has keys of its own.
    clipPlaneHotKey: '',
    cycleClipPlaneHotKey: '',
    viewModeHotKey: '',
    mouseEventConfig: mouseButtons(modes, 'crosshair')
  }
}
