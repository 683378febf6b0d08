//! The paper's own figures (tables 2 and 3), which our tables show beside ours.

/// A row of table 2: lesion segmentation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SegmentationRow {
    /// Key in configurations.
    pub key: &'static str,
    /// The paper's name of the system.
    pub name: &'static str,
    /// Average surface distance, mm.
    pub asd_mm: f64,
    /// Volume Dice, percent.
    pub dice: f64,
    /// Surface overlap, percent.
    pub surface_overlap: f64,
    /// Surface Dice, percent.
    pub surface_dice: f64,
}

/// A row of table 3: classification, in percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassificationRow {
    /// Key in configurations.
    pub key: &'static str,
    /// The paper's name of the system.
    pub name: &'static str,
    /// Accuracy.
    pub accuracy: f64,
    /// Macro recall.
    pub recall: f64,
    /// Macro precision.
    pub precision: f64,
    /// Harmonic mean of macro recall and precision.
    pub f1: f64,
}

const fn s(
    key: &'static str,
    name: &'static str,
    [asd_mm, dice, surface_overlap, surface_dice]: [f64; 4],
) -> SegmentationRow {
    SegmentationRow {
        key,
        name,
        asd_mm,
        dice,
        surface_overlap,
        surface_dice,
    }
}

const fn c(
    key: &'static str,
    name: &'static str,
    [accuracy, recall, precision, f1]: [f64; 4],
) -> ClassificationRow {
    ClassificationRow {
        key,
        name,
        accuracy,
        recall,
        precision,
        f1,
    }
}

/// Table 2 of the paper.
pub const SEGMENTATION: [SegmentationRow; 9] = [
    s("inf-net", "Inf-Net", [8.3673, 56.21, 45.83, 47.43]),
    s("medt", "MedT", [9.9634, 48.25, 42.40, 44.33]),
    s("trans-unet", "TransU-Net", [6.8709, 62.15, 46.63, 48.02]),
    s("unet3d", "3D U-Net", [1.8579, 67.41, 69.69, 72.96]),
    s("unetpp3d", "3D U-Net++", [2.2089, 57.53, 57.10, 63.19]),
    s("jcs", "JCS", [6.8589, 60.38, 47.94, 48.59]),
    s("zhou", "Zhou's", [1.9771, 68.87, 70.24, 72.09]),
    s(
        "multirnet-segmentation",
        "MultiR-Net without classification",
        [1.6334, 68.73, 71.63, 73.38],
    ),
    s("multirnet", "MultiR-Net", [1.4897, 69.95, 73.68, 75.32]),
];

/// Table 3 of the paper.
pub const CLASSIFICATION: [ClassificationRow; 5] = [
    c("densenet", "DenseNet", [64.706, 70.068, 85.034, 76.829]),
    c("res2net", "Res2Net", [82.482, 84.495, 89.322, 86.841]),
    c("zhou", "Zhou's", [86.029, 87.453, 88.134, 87.792]),
    c("jcs", "JCS", [82.482, 84.495, 89.322, 86.841]),
    c("multirnet", "MultiR-Net", [92.647, 93.323, 94.005, 93.663]),
];

/// The keys of all rows.
pub fn keys() -> Vec<&'static str> {
    let mut keys: Vec<_> = SEGMENTATION.iter().map(|r| r.key).collect();
    keys.extend(CLASSIFICATION.iter().map(|r| r.key));
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The paper's row of table 2 with this key.
pub fn segmentation(key: Option<&str>) -> Option<&'static SegmentationRow> {
    SEGMENTATION.iter().find(|r| Some(r.key) == key)
}

/// The paper's row of table 3 with this key.
pub fn classification(key: Option<&str>) -> Option<&'static ClassificationRow> {
    CLASSIFICATION.iter().find(|r| Some(r.key) == key)
}
