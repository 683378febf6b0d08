/** The voxels that one stroke changed, with their labels before and after. */
export interface Stroke {
  indices: number[]
  before: number[]
  after: number[]
}

// A stroke keeps only what it changed. NiiVue's own history keeps whole maps, which a scan of 255
// slices makes slow.
export class History {
  private readonly done: Stroke[] = []
  private readonly undone: Stroke[] = []
  private depthAtSave = 0

  push(stroke: Stroke): void {
    if (stroke.indices.length === 0) return
    this.done.push(stroke)
    this.undone.length = 0
  }

  undo(): Stroke | null {
    const stroke = this.done.pop() ?? null
    if (stroke) this.undone.push(stroke)
    return stroke
  }

  redo(): Stroke | null {
    const stroke = this.undone.pop() ?? null
    if (stroke) this.done.push(stroke)
    return stroke
  }

  get canUndo(): boolean {
    return this.done.length > 0
  }

  get canRedo(): boolean {
    return this.undone.length > 0
  }

  get hasChanges(): boolean {
    return this.done.length !== this.depthAtSave
  }

  clear(): void {
    this.done.length = 0
    this.undone.length = 0
    this.depthAtSave = 0
  }
}
