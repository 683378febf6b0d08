//! Published figures on the data sets that manifests name. Tables show them beside our scores.
//!
//! All figures are as quoted by others or from memory. Check them in the papers before you quote
//! them.

/// A system's published Dice on a data set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PublishedDice {
    /// The system.
    pub system: &'static str,
    /// Mean volume Dice, 0..=1.
    pub dice: f64,
    /// The publication.
    pub source: &'static str,
}

/// Published figures on one data set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Published {
    /// Prefix of the names of its sources in manifests.
    pub data: &'static str,
    /// The scans that the figures were measured on.
    pub scans: &'static str,
    /// Number of those scans that a manifest can hold; `None` if the figures are on other scans.
    pub count: Option<usize>,
    /// The figures.
    pub rows: &'static [PublishedDice],
}

const INF_NET: &str = "Fan et al. 2020 (Inf-Net), table 2";

const fn inf_net(system: &'static str, dice: f64) -> PublishedDice {
    PublishedDice {
        system,
        dice,
        source: INF_NET,
    }
}

/// All known figures.
pub const PUBLISHED: [Published; 2] = [
    Published {
        data: "medseg98",
        scans: "the 48 test slices of COVID-SemiSeg",
        count: Some(48),
        rows: &[
            inf_net("U-Net", 0.439),
            inf_net("Attention U-Net", 0.583),
            inf_net("Gated U-Net", 0.623),
            inf_net("U-Net++", 0.581),
            inf_net("Inf-Net", 0.682),
            inf_net("Semi-Inf-Net", 0.739),
        ],
    },
    Published {
        data: "coronacases",
        scans: "all 20 whole scans of COVID-19-CT-Seg, five folds",
        count: None,
        rows: &[
            PublishedDice {
                system: "nnU-Net",
                dice: 0.673,
                source: "Ma et al. 2020",
            },
            PublishedDice {
                system: "3D U-Net, much augmentation",
                dice: 0.761,
                source: "Müller et al. 2020",
            },
        ],
    },
];

/// The published figures on the data set `source`.
pub fn published(source: &str) -> Option<&'static Published> {
    PUBLISHED.iter().find(|p| source.starts_with(p.data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_finds_its_figures_by_its_name() {
        let found = published("medseg98-test").unwrap();
        assert_eq!((found.rows.len(), found.rows[4].dice), (6, 0.682));
        assert!(published("coronacases-hu").is_some());
        assert!(published("").is_none() && published("mosmed-slices").is_none());
    }
}
