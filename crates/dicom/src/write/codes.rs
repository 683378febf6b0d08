//! The one table of codes that results use.
//!
//! A test compares each code and meaning with `tests/golden/codes.csv`, an extract of pydicom's
//! dictionary of DICOM's context groups (PS3.16). SNOMED CT codes that DICOM does not list are marked
//! there with their source.

/// A coded concept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code {
    /// Coding scheme designator: `SCT` (SNOMED CT), `DCM` (DICOM), `LN` (LOINC), `UCUM`, `UMLS` or
    /// `RFC5646`.
    pub scheme: &'static str,
    /// Code value.
    pub value: &'static str,
    /// Code meaning in English.
    pub meaning: &'static str,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $scheme:literal $value:literal $meaning:literal;)*) => {
        $($(#[$doc])* pub const $name: Code = Code {
            scheme: $scheme,
            value: $value,
            meaning: $meaning,
        };)*

        /// All codes.
        pub const TABLE: &[Code] = &[$($name),*];
    };
}

codes! {
    /// Category of the lungs (CID 7150).
    ANATOMICAL_STRUCTURE = "SCT" "91723000" "Anatomical Structure";
    /// Category of lesions (CID 7150).
    MORPHOLOGICALLY_ABNORMAL_STRUCTURE = "SCT" "49755003" "Morphologically Abnormal Structure";
    /// Lung, as a property type and as a site. The side is a modifier.
    LUNG = "SCT" "39607008" "Lung";
    /// Lesion of any kind (CID 7159, 7194).
    LESION = "SCT" "52988006" "Lesion";
    /// Ground glass opacity (CID 6102, 6104).
    GROUND_GLASS_OPACITY = "DCM" "112120" "Ground glass opacity";
    /// Consolidation. DICOM's context groups have no code for it.
    LUNG_CONSOLIDATION = "SCT" "95436008" "Lung consolidation";
    /// Right (CID 244).
    RIGHT = "SCT" "24028007" "Right";
    /// Left (CID 244).
    LEFT = "SCT" "7771000" "Left";
    /// Both sides (CID 244).
    BILATERAL = "SCT" "51440002" "Bilateral";
    /// Upper zone (CID 6171).
    UPPER_ZONE_OF_LUNG = "SCT" "281392002" "Upper zone of lung";
    /// Middle zone (CID 6171).
    MIDDLE_ZONE_OF_LUNG = "SCT" "281393007" "Middle zone of lung";
    /// Lower zone (CID 6171).
    LOWER_ZONE_OF_LUNG = "SCT" "281394001" "Lower zone of lung";
    /// The class without pneumonia (CID 222).
    NORMAL = "SCT" "17621005" "Normal";
    /// Pneumonia.
    PNEUMONIA = "SCT" "233604007" "Pneumonia";
    /// The class CAP.
    COMMUNITY_ACQUIRED_PNEUMONIA = "SCT" "385093006" "Community acquired pneumonia";
    /// The class COVID-19.
    COVID_19 = "SCT" "840539006" "COVID-19";
    /// Background of a label map (CID 7151).
    BACKGROUND = "DCM" "125040" "Background";
    /// Family of the algorithms (CID 7162).
    ARTIFICIAL_INTELLIGENCE = "DCM" "123110" "Artificial Intelligence";
    /// Derivation of a frame of a segmentation (CID 7203).
    SEGMENTATION = "DCM" "113076" "Segmentation";
    /// Purpose of a reference to the source (CID 7202).
    SOURCE_IMAGE = "DCM" "121322" "Source image for image processing operation";

    /// Title of a report (CID 7021).
    IMAGING_MEASUREMENT_REPORT = "DCM" "126000" "Imaging Measurement Report";
    /// Container of measurement groups.
    IMAGING_MEASUREMENTS = "DCM" "126010" "Imaging Measurements";
    /// A measurement group.
    MEASUREMENT_GROUP = "DCM" "125007" "Measurement Group";
    /// Container of evaluations without numbers.
    QUALITATIVE_EVALUATIONS = "UMLS" "C0034375" "Qualitative Evaluations";
    /// Language of a report.
    LANGUAGE = "DCM" "121049" "Language of Content Item and Descendants";
    /// English.
    ENGLISH = "RFC5646" "en-US" "English (United States)";
    /// Type of the observer.
    OBSERVER_TYPE = "DCM" "121005" "Observer Type";
    /// An observer that is a device (CID 270).
    DEVICE = "DCM" "121007" "Device";
    /// UID of the device.
    DEVICE_OBSERVER_UID = "DCM" "121012" "Device Observer UID";
    /// Name of the device.
    DEVICE_OBSERVER_NAME = "DCM" "121013" "Device Observer Name";
    /// Manufacturer of the device.
    DEVICE_OBSERVER_MANUFACTURER = "DCM" "121014" "Device Observer Manufacturer";
    /// Model of the device.
    DEVICE_OBSERVER_MODEL_NAME = "DCM" "121015" "Device Observer Model Name";
    /// Serial number of the device.
    DEVICE_OBSERVER_SERIAL_NUMBER = "DCM" "121016" "Device Observer Serial Number";
    /// The procedure that a report is about.
    PROCEDURE_REPORTED = "DCM" "121058" "Procedure reported";
    /// CT (CID 100).
    CT_UNSPECIFIED_BODY_REGION = "LN" "25045-6" "CT unspecified body region";
    /// Tracking identifier.
    TRACKING_IDENTIFIER = "DCM" "112039" "Tracking Identifier";
    /// Tracking UID.
    TRACKING_UNIQUE_IDENTIFIER = "DCM" "112040" "Tracking Unique Identifier";
    /// A finding.
    FINDING = "DCM" "121071" "Finding";
    /// Where a finding lies.
    FINDING_SITE = "SCT" "363698007" "Finding Site";
    /// Side of a site.
    LATERALITY = "SCT" "272741003" "Laterality";
    /// Volume (CID 7469).
    VOLUME = "SCT" "118565006" "Volume";
    /// Attenuation (CID 7469).
    ATTENUATION_COEFFICIENT = "DCM" "112031" "Attenuation Coefficient";
    /// Share of a volume in another (CID 7469).
    VOLUME_RATIO = "DCM" "113288" "Volume Ratio";
    /// Probability of a class.
    PROBABILITY = "DCM" "122157" "Probability";
    /// How a value was derived.
    DERIVATION = "DCM" "121401" "Derivation";
    /// The mean of several values (CID 7464).
    MEAN = "SCT" "373098007" "Mean";
    /// Name of an algorithm.
    ALGORITHM_NAME = "DCM" "111001" "Algorithm Name";
    /// Parameters of an algorithm.
    ALGORITHM_PARAMETERS = "DCM" "111002" "Algorithm Parameters";
    /// Version of an algorithm.
    ALGORITHM_VERSION = "DCM" "111003" "Algorithm Version";
    /// A segment of a segmentation.
    REFERENCED_SEGMENT = "DCM" "121191" "Referenced Segment";
    /// The series that a segmentation was made from.
    SOURCE_SERIES = "DCM" "121232" "Source series for segmentation";
    /// A comment.
    COMMENT = "DCM" "121106" "Comment";
    /// State of an analysis that did not take place (CID 6042).
    NOT_ATTEMPTED = "DCM" "111225" "Not Attempted";
    /// Title of the document (CID 7000).
    DIAGNOSTIC_IMAGING_REPORT = "LN" "18748-4" "Diagnostic Imaging Report";

    /// Unit of volumes (CID 7181, 7462).
    CUBIC_CENTIMETER = "UCUM" "cm3" "cubic centimeter";
    /// Unit of attenuation.
    HOUNSFIELD_UNIT = "UCUM" "[hnsf'U]" "Hounsfield unit";
    /// Unit of shares.
    PERCENT = "UCUM" "%" "Percent";
    /// Unit of probabilities.
    NO_UNITS = "UCUM" "1" "no units";
}

/// The units of measurements.
pub(crate) const UNITS: [Code; 4] = [CUBIC_CENTIMETER, HOUNSFIELD_UNIT, PERCENT, NO_UNITS];
