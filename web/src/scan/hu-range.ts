type ImageClass = typeof import('@niivue/niivue').NVImage

// NiiVue sorts all voxels of a new image into a histogram to choose its window, which takes seconds
// for a large scan. The window of a CT is known beforehand.
const LOWEST_HU = -2000
const HIGHEST_HU = 4000

/** Lets NiiVue keep the window that the caller gives. */
export function skipHistogram(NVImage: ImageClass): void {
  NVImage.prototype.calMinMax = function (): number[] {
    const low = this.cal_min ?? 0
    const high = this.cal_max ?? 1
    this.cal_min = this.robust_min = low
    this.cal_max = this.robust_max = high
    // Dragging moves the window within these limits.
    this.global_min = LOWEST_HU
    this.global_max = HIGHEST_HU
    return [low, high, low, high]
  }
}
