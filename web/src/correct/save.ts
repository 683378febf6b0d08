import { jobPath, postJson } from '../core/api'
import { upload } from '../core/upload'
import { encodeLabels } from '../scan/nifti'
import type { Correction, Diagnosis } from '../core/types'

export interface Review {
  reviewer: string
  reason: string
  verdict: 'confirmed' | 'corrected'
  diagnosis: Diagnosis | null
}

/** Sends a review. `mask` holds the file that gives the header, and the edited voxels. */
export async function saveReview(
  id: string,
  review: Review,
  mask: { like: ArrayBuffer; voxels: Uint8Array } | null,
  progress: (text: string) => void
): Promise<Correction> {
  let uploadId: string | null = null
  if (mask) {
    progress('The lesion map is compressed.')
    const blob = await encodeLabels(mask.like, mask.voxels)
    progress('The lesion map is sent.')
    uploadId = await upload('lesions.nii.gz', blob, { waiting: (reason) => progress(`${reason} The upload goes on by itself.`) })
  }
  progress('The server measures the correction.')
  return await postJson<Correction>(`${jobPath(id)}/corrections`, { ...review, upload: uploadId })
}
