//! Makes configurations and manifests small. Their keys and paths stay, and numbers shrink. A wrong
//! path or an unknown key therefore still fails.

use toml::{Table, Value};

/// Size of the windows of a small training.
const PATCH: [i64; 3] = [16, 32, 32];
/// Spacing of these windows.
const SPACING_MM: [f64; 3] = [10.0, 8.0, 8.0];
/// Voxels of its phantoms along x and y.
const MATRIX: i64 = 96;

/// Training configuration for a `multirnet train` that names none.
pub const TRAINING: &str = "\
[model]
preset = \"small\"
iterations = 0
lesion_channels = 2
[prepare]
spacing_mm = [10.0, 8.0, 8.0]
global_shape = [16, 32, 32]
[sampling]
patch_size = [16, 32, 32]
batch = 2
steps_per_epoch = 1
[validation]
local_windows = 1
max_windows = 4
[run]
epochs = 1
";

/// Configuration for a `multirnet phantom implant` that names none.
pub const IMPLANTS: &str = "\
[background]
pixel_mm = [3.0, 4.0]
slice_mm = [5.0, 8.0]
";

/// The configuration `text` of the folder `configs/FOLDER`, made small.
pub fn configuration(folder: &str, text: &str) -> String {
    let mut table: Table = text.parse().unwrap();
    match folder {
        "train" => {
            table.entry("model").or_insert(Table::new().into());
            training(&mut table);
        }
        "compare" | "ablate" => study(&mut table),
        "implant" => implants(&mut table),
        _ => {}
    }
    toml::to_string(&table).unwrap()
}

/// Sets the value at a path of tables. Missing tables are made.
fn put(table: &mut Table, path: &str, value: impl Into<Value>) {
    let (mut table, mut rest) = (table, path);
    while let Some((name, more)) = rest.split_once('.') {
        let inner = table.entry(name).or_insert(Table::new().into());
        (table, rest) = (inner.as_table_mut().unwrap(), more);
    }
    table.insert(rest.to_owned(), value.into());
}

/// The tables below `key`: none, one, or all of an array.
fn tables<'a>(table: &'a mut Table, key: &str) -> Vec<&'a mut Table> {
    match table.get_mut(key) {
        Some(Value::Table(one)) => vec![one],
        Some(Value::Array(all)) => all.iter_mut().filter_map(Value::as_table_mut).collect(),
        _ => vec![],
    }
}

/// Keeps the first `n` values of an array, if there is one.
fn shorten(table: &mut Table, key: &str, n: usize) {
    if let Some(Value::Array(all)) = table.get_mut(key) {
        all.truncate(n);
    }
}

/// Makes the tables of a training small.
fn training(table: &mut Table) {
    for key in ["prepare", "sampling", "run"] {
        table.entry(key).or_insert(Table::new().into());
    }
    put(table, "sampling.batch", 2);
    put(table, "sampling.steps_per_epoch", 1);
    put(table, "validation.local_windows", 1);
    put(table, "validation.max_windows", 4);
    variant(table);
}

/// Makes the changes that a system or a variant makes to a training small.
fn variant(table: &mut Table) {
    for model in tables(table, "model") {
        let name = model.get("system").and_then(Value::as_str);
        if name.is_none_or(|name| name == "multirnet") {
            put(model, "iterations", 0);
        }
        put(model, "preset", "small");
    }
    for (key, path) in [
        ("prepare", "prepare.global_shape"),
        ("sampling", "sampling.patch_size"),
    ] {
        if table.contains_key(key) {
            put(table, path, PATCH.to_vec());
        }
    }
    if table.contains_key("prepare") {
        put(table, "prepare.spacing_mm", SPACING_MM.to_vec());
    }
    if table.contains_key("run") {
        put(table, "run.epochs", 1);
    }
    shorten(table, "stage", 1);
    for stage in tables(table, "stage") {
        put(stage, "patch_size", PATCH.to_vec());
        put(stage, "epochs", 1);
    }
}

/// Makes a comparison or an ablation small.
fn study(table: &mut Table) {
    let train = table.entry("train").or_insert(Table::new().into());
    training(train.as_table_mut().unwrap());
    put(table, "predict.window_shape", PATCH.to_vec());
    shorten(table, "folds", 2);
    for cohort in tables(table, "cohort") {
        for phantoms in tables(cohort, "phantoms") {
            few(phantoms, 2);
        }
        for more in ["test", "training"] {
            for scans in tables(cohort, more) {
                for phantoms in tables(scans, "phantoms") {
                    few(phantoms, 1);
                }
            }
        }
    }
    let reference = table.get("reference").cloned();
    if let Some(Value::Array(systems)) = table.get_mut("system") {
        // Two systems stay. One of them is the reference, if the study names one.
        let mut others = if reference.is_some() { 1 } else { 2 };
        systems.retain(|system| {
            let is_reference = Some(&system["id"]) == reference.as_ref();
            let is_kept = is_reference || others > 0;
            others -= i32::from(!is_reference);
            is_kept
        });
    }
    for system in tables(table, "system") {
        tables(system, "set").into_iter().for_each(variant);
    }
    shorten(table, "axis", 1);
    for axis in tables(table, "axis") {
        shorten(axis, "variant", 2);
    }
}

/// Limits a cohort of phantoms to `n` of each class.
fn few(phantoms: &mut Table, n: i64) {
    for class in ["normal", "cap", "covid19"] {
        if let Some(Value::Integer(count)) = phantoms.get_mut(class) {
            *count = n.min(*count);
        }
    }
    put(phantoms, "matrix", MATRIX);
}

/// Adapts a configuration of implants, or a list of regions to avoid, to scans of few, large voxels.
fn implants(table: &mut Table) {
    if table.contains_key("background") || table.contains_key("normal_share") {
        put(table, "background.pixel_mm", vec![3.0, 4.0]);
        put(table, "background.slice_mm", vec![5.0, 8.0]);
    }
    for scan in tables(table, "scan") {
        for avoid in tables(scan, "avoid") {
            for slice in avoid["slices"].as_array_mut().unwrap() {
                *slice = (slice.as_integer().unwrap() / 4).into();
            }
        }
    }
}

/// A manifest: its comments, its header, and the rows that are kept.
pub struct Manifest {
    comments: String,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The first two rows and the last one.
    pub rows: Vec<Vec<String>>,
}

impl Manifest {
    /// Reads a manifest in which no cell is quoted.
    pub fn read(text: &str) -> Self {
        assert!(!text.contains('"'), "a cell of the manifest is quoted");
        let (comments, lines): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| line.starts_with('#'));
        let cells = |line: &&str| -> Vec<String> { line.split(',').map(str::to_owned).collect() };
        let mut lines = lines.iter().map(cells);
        let columns = lines.next().unwrap();
        let mut rows: Vec<Vec<String>> = lines.collect();
        if let Some(last) = rows.split_off(rows.len().min(2)).pop() {
            rows.push(last);
        }
        Self {
            comments: comments.join("\n"),
            columns,
            rows,
        }
    }

    /// The manifest as CSV.
    pub fn text(&self) -> String {
        let rows: Vec<String> = self.rows.iter().map(|r| r.join(",")).collect();
        let head = self.columns.join(",");
        format!("{}\n{head}\n{}\n", self.comments, rows.join("\n"))
    }
}
