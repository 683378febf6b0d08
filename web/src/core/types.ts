// The documents of the server's API.

export type Diagnosis = 'normal' | 'cap' | 'covid19'
export type JobState = 'queued' | 'running' | 'done' | 'failed' | 'cancelled'
export type Probabilities = Record<Diagnosis, number>

export interface ErrorDetail {
  kind: string
  reason: string
  hint: string | null
}

export interface Job {
  id: string
  name: string
  state: JobState
  progress: number
  stage: string | null
  priority: number
  created_ms: number
  started_ms: number | null
  finished_ms: number | null
  seconds: number | null
  source: 'upload' | 'path' | 'network'
  format: string | null
  patient: string | null
  study_date: string | null
  description: string | null
  model: string | null
  diagnosis: Diagnosis | null
  probabilities: Probabilities | null
  share_involved: number | null
  lesion_ml: number | null
  severity_score: number | null
  warnings: string[]
  error: ErrorDetail | null
  corrections: number
  reviewed: 'confirmed' | 'corrected' | null
  has_thumbnail: boolean
}

export interface JobPage {
  total: number
  counts: Record<JobState, number>
  jobs: Job[]
}

export interface ServerInfo {
  version: string
  notice: string
  user: string | null
  model: { name: string; trained_on: string; validation_notice: string | null }
  queue: { queued: number; running: number; workers: number }
  limits: { max_upload_bytes?: number; max_jobs?: number }
  listener: { ae_title: string; address: string } | null
  allowed_roots: string[]
}

export interface ValidatedOn {
  lesions: string[]
  classes: string[]
}

export interface Score {
  on: string
  cases: number
  kind: string
  seen: string
  metric: string
  value: number
  interval?: [number, number] | null
}

export interface ModelEntry {
  name: string
  is_default: boolean
  is_active: boolean
  path: string | null
  sha256: string
  card: {
    name: string
    trained_on: string
    version: string
    threshold?: number | null
    validation?: string | null
    validated_on: ValidatedOn
    licence?: string | null
    attribution?: string[]
    scores?: Score[]
  }
}

export interface Region {
  name: string
  lung_ml: number
  lesion_ml: number
  fraction: number
  score: number
}

export interface Involvement {
  right: Region
  left: Region
  both: Region
  zones: Region[]
  severity_score: number
}

export interface KindInvolvement {
  kind: 'ground_glass' | 'consolidation'
  lesion_ml: number
  fraction: number
  right_fraction: number
  left_fraction: number
}

export interface Finding {
  notice: string
  validated_on?: ValidatedOn
  source: { path: string; format: string; warnings?: string[] }
  diagnosis: Diagnosis
  probabilities: Probabilities
  involvement: Involvement
  lesion_kinds?: KindInvolvement[]
  warnings: string[]
  timings: { stage: string; seconds: number }[]
  provenance: { version: string; model: string; model_sha256: string; trained_on: string }
}

export interface Lesion {
  id: number
  kind: 'lesion' | 'ground_glass' | 'consolidation' | 'mixed'
  ml: number
  share_of_lungs: number
  lung: 'right' | 'left' | null
  zone: number | null
  mean_hu: number
  longest_mm: number
  centre_lps_mm: [number, number, number]
  centre_voxel: [number, number, number]
}

export interface ResultFile {
  name: string
  bytes: number
  media_type: string
  description: string
}

export interface Changes {
  lesions_added: number
  lesions_removed: number
  lesions_grown: number
  lesions_shrunk: number
  added_ml: number
  removed_ml: number
  dice_with_model: number | null
}

export interface Correction {
  version: number
  created_ms: number
  reviewer: string
  reason: string
  verdict: 'confirmed' | 'corrected'
  diagnosis: Diagnosis | null
  has_mask: boolean
  changes: Changes | null
  share_involved: number | null
  lesion_ml: number | null
  involvement: Involvement | null
  lesion_kinds: KindInvolvement[]
}

export interface CorrectionSummary {
  reviewed: number
  confirmed: number
  corrected: number
  scans_done: number
  lesions_added: number
  lesions_removed: number
  lesions_grown: number
  lesions_shrunk: number
  added_ml: number
  removed_ml: number
  class_changes: { from: Diagnosis; to: Diagnosis; count: number }[]
  reasons: { reason: string; count: number }[]
  by_model: { model: string; confirmed: number; corrected: number; mean_dice: number | null }[]
}

export interface UploadState {
  id: string
  name: string
  size: number
  offset: number
}
