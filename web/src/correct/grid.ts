import type { NVImage } from '@niivue/niivue'

/** Maps the voxels that NiiVue shows (towards right, front, head) to those of the file. */
export class Grid {
  readonly size: [number, number, number]
  readonly length: number
  private readonly start: number
  private readonly step: [number, number, number]

  constructor(image: NVImage) {
    const [, nx = 0, ny = 0, nz = 0] = image.dimsRAS ?? []
    const [sx = 0, sy = 0, sz = 0] = image.img2RASstep ?? []
    const [ax = 0, ay = 0, az = 0] = image.img2RASstart ?? []
    this.size = [nx, ny, nz]
    this.length = nx * ny * nz
    this.start = ax + ay + az
    this.step = [sx, sy, sz]
  }

  /** Index in the picture's order. */
  index(x: number, y: number, z: number): number {
    return x + this.size[0] * (y + this.size[1] * z)
  }

  /** The voxel at an index in the picture's order. */
  voxel(index: number): [number, number, number] {
    const [nx, ny] = this.size
    return [index % nx, Math.floor(index / nx) % ny, Math.floor(index / (nx * ny))]
  }

  /** Index in the file's order. */
  fileIndex(x: number, y: number, z: number): number {
    return this.start + x * this.step[0] + y * this.step[1] + z * this.step[2]
  }

  toPicture(file: ArrayLike<number>): Uint8Array {
    return this.reorder((out, i, k) => (out[i] = file[k] ?? 0))
  }

  toFile(picture: Uint8Array): Uint8Array {
    return this.reorder((out, i, k) => (out[k] = picture[i] ?? 0))
  }

  private reorder(copy: (out: Uint8Array, picture: number, file: number) => void): Uint8Array {
    const out = new Uint8Array(this.length)
    const [nx, ny, nz] = this.size
    let i = 0
    for (let z = 0; z < nz; z++) {
      for (let y = 0; y < ny; y++) {
        let k = this.fileIndex(0, y, z)
        for (let x = 0; x < nx; x++, i++, k += this.step[0]) copy(out, i, k)
      }
    }
    return out
  }
}
