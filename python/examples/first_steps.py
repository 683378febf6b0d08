# %% [markdown]
# # A scan, a finding and its maps
#
# For research use only. Not a medical device. The scan is synthetic, so that the script needs no data.
# With your own, write `finding = model.analyse("scan.nii.gz")` or give the folder of a DICOM series.

# %%
import multirnet

model = multirnet.load_model()
scan = multirnet.phantom.generate(seed=7, diagnosis="covid19", matrix=96)
print(model, scan)

# %%
# In a notebook the last line of a cell shows the overview picture.
finding = model.analyse(scan, progress=True)
finding

# %%
# The notice says whether the model was validated on patients.
print(finding.validation_notice or finding.notice)
print(f"{finding.diagnosis}: {finding.probabilities[finding.diagnosis]:.1%}")
for zone in finding.involvement.zones:
    print(f"{zone.name:>12}: {zone.lesion_ml:6.1f} of {zone.lung_ml:6.1f} ml")

# %%
# The maps are arrays (z, y, x) on the scan's own grid. They share the library's memory.
dense = (finding.lesions == 2).sum() / max(1, (finding.lesions > 0).sum())
print(f"{dense:.1%} of the lesions are consolidated")
for lesion in finding.single_lesions()[:3]:
    print(f"lesion {lesion.id}: {lesion.ml:.1f} ml, {lesion.mean_hu:.0f} HU, {lesion.lung} lung")
