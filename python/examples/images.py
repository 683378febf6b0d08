# %% [markdown]
# # Images of SimpleITK and nibabel, in and out
#
# An image of either library knows its place, and a finding gives maps back to both.

# %%
import tempfile
from pathlib import Path

import multirnet
import nibabel
import numpy as np
import SimpleITK

model = multirnet.load_model()
phantom = multirnet.phantom.generate(seed=3, diagnosis="cap", matrix=96)

# %%
# SimpleITK: smooth the scan, analyse it, and colour the lesions in the picture of a slice.
image = SimpleITK.CurvatureFlow(phantom.to_sitk(), timeStep=0.05, numberOfIterations=2)
finding = model.analyse(image)
lesions = finding.to_sitk("lesions")
grey = SimpleITK.Cast(SimpleITK.IntensityWindowing(image, -1000, 200, 0, 255), SimpleITK.sitkUInt8)
coloured = SimpleITK.LabelOverlay(grey, lesions)
busiest = int((finding.lesions > 0).sum((1, 2)).argmax())

# %%
# nibabel: write the probability, and read it as any program does.
with tempfile.TemporaryDirectory() as folder:
    SimpleITK.WriteImage(coloured[:, :, busiest], str(Path(folder) / "slice.png"))
    path = Path(folder) / "probability.nii.gz"
    nibabel.save(finding.to_nibabel("probability"), path)
    again = nibabel.Nifti1Image.from_filename(path)
    print("axes", "".join(nibabel.aff2axcodes(again.affine)))
    assert np.array_equal(again.get_fdata(dtype=np.float32).T, finding.probability)

# %%
# An array needs its place: a matrix as nibabel has it, or spacing, origin and direction.
array = phantom.to_nibabel().get_fdata()
found = model.analyse(array.T, affine=phantom.grid.affine)
print(found)
