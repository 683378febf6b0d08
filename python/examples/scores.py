# %% [markdown]
# # Scores of several scans, with intervals and a test
#
# Phantoms say nothing about patients: the numbers show how to score, not how good the model is.

# %%
import multirnet
from multirnet import metrics
from multirnet.metrics.types import Case

model = multirnet.load_model()
phantoms = [multirnet.phantom.generate(seed, "covid19", 96) for seed in range(4)]

# %%
# Two settings of one model on the same scans.
cases: dict[float, list[Case]] = {}
for threshold in (0.3, 0.5):
    found = [model.analyse(p, options={"threshold": threshold}) for p in phantoms]
    cases[threshold] = [
        metrics.case(p.lesions, f.lesions, p.grid.spacing) for p, f in zip(phantoms, found)
    ]

# %%
# Nothing is left out silently: undefined and infinite values are counted.
for threshold, scored in cases.items():
    for score in metrics.cohort(scored)["scores"][:4]:
        print(threshold, score["metric"], score["mean"], f"{score['n_undefined']} undefined")

# %%
low, high = ([case["dice"] or 0.0 for case in scored] for scored in cases.values())
interval = metrics.bootstrap_mean([[a - b] for a, b in zip(low, high)])
print("difference of Dice", interval["value"], "from", interval["low"], "to", interval["high"])
print("p", metrics.wilcoxon(low, high)["p"])
