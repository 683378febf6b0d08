// NiiVue computes a gradient of every volume for lit surfaces in 3D, with every change of a window.
// The viewer uses no lighting. Without the gradient a scan of 255 slices needs half a gigabyte less
// memory of the graphics card, and a software renderer draws several times faster.
const BEFORE = `if (layer === 0) {
      this.volumeTexture = outTexture;
      this.gradientTexture = gradientGL({`
const AFTER = `if (layer === 0) {
      this.volumeTexture = outTexture;
      if (this.gradientTextureAmount > 0) this.gradientTexture = gradientGL({`

export function skipGradient() {
  return {
    name: 'skip-gradient',
    apply: 'build',
    transform(code, id) {
      if (!/@niivue\/niivue\/build\/niivue\/index\.js$/.test(id)) return null
      if (code.split(BEFORE).length !== 2) {
        throw new Error(`${id}: the place that computes the gradient was not found (adapt plugins/skip-gradient.js to this version of NiiVue)`)
      }
      return { code: code.replace(BEFORE, AFTER), map: null }
    }
  }
}
