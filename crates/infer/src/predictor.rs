//! Scan in, finding out.

use crate::consolidation;
use crate::grid::{dilate, radius_voxels};
use crate::model::read_file;
use crate::pipeline::{self, Watch, Working};
use crate::restore::{NativeBox, NativeMap};
use crate::{
    BurnNetwork, DeviceChoice, Engine, Error, ErrorKind, Finding, Maps, MemoryPlan, ModelCard,
    ModelInput, NOTICE, Network, PredictOptions, Prediction, Provenance, Result, SCHEMA, Source,
    SystemNetwork, Timing, content_sha256,
};
use burn::tensor::Device;
use multirnet_anatomy::{
    Intensity, LesionKind, Prepared, check_scan, involvement, kind_involvement, prepare,
    prepare_checked, segment_lungs,
};
use multirnet_base::digest::sha256;
use multirnet_nn::{AnyNet, System};
use multirnet_volume::{Geometry, Volume};
use std::path::Path;
use std::time::Instant;

/// What a prediction is doing; told to the caller when it begins, windows also as they are done.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Stage {
    /// Nothing yet; this is the memory that it will take.
    Plan(MemoryPlan),
    /// Computing the scan's digest.
    Hash,
    /// Finding the lungs.
    Lungs,
    /// Checking the scan and cutting out the network's views.
    Prepare,
    /// The network looks at the whole chest.
    Global,
    /// The network looks at windows.
    Windows {
        /// Windows that are done.
        done: usize,
        /// Windows in all.
        total: usize,
    },
    /// Putting the heat map together.
    Explain,
    /// Bringing the maps back to the scan's own grid.
    Restore,
    /// Measuring the involvement of the lungs.
    Measure,
}

impl Stage {
    /// Machine name, as in [`crate::Timing::stage`].
    pub fn name(&self) -> &'static str {
        match self {
            Self::Plan(_) => "plan",
            Self::Hash => "hash",
            Self::Lungs => "lungs",
            Self::Prepare => "prepare",
            Self::Global => "global",
            Self::Windows { .. } => "windows",
            Self::Explain => "explain",
            Self::Restore => "restore",
            Self::Measure => "measure",
        }
    }
}

/// A model, loaded once, that analyses scans.
///
/// It is `Send + Sync`: several threads may call [`Predictor::predict`] at the same time. They
/// share the processor, so this pays for the reading of files more than for the network.
pub struct Predictor {
    network: Box<dyn Network>,
    card: ModelCard,
    digest: String,
}

impl std::fmt::Debug for Predictor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Predictor")
            .field("card", &self.card)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl Predictor {
    /// Loads a packaged model or a bare weights file.
    ///
    /// # Errors
    /// `Io` if the file cannot be read, `Model` if it is corrupt or no model, `Device` if the
    /// device cannot be used.
    pub fn load(path: &Path, device: DeviceChoice) -> Result<Self> {
        Self::from_bytes(&path.display().to_string(), &read_file(path)?, device)
    }

    /// Loads a model from a file's bytes; `name` is for messages and the name of a model that
    /// carries no card.
    ///
    /// # Errors
    /// `Model` if the bytes are corrupt or no model, `Device` if the device cannot be used.
    pub fn from_bytes(name: &str, bytes: &[u8], device: DeviceChoice) -> Result<Self> {
        let digest = sha256(bytes);
        let on_cpu = device == DeviceChoice::Cpu;
        let device = device
            .open()
            .map_err(|e| Error::caused(ErrorKind::Device, e))?;
        // First, because it explains best what is wrong with a file.
        let system: System = multirnet_nn::weights::from_bytes(name, bytes, &device)
            .map_err(|e| Error::caused(ErrorKind::Model, e))?;
        let card = ModelCard::read(name, bytes)?.unwrap_or_else(|| ModelCard::unknown(name));
        let at = |e: Error| e.at(Path::new(name));
        let network = network_of(system, device, on_cpu).map_err(at)?;
        if !(network.segments() && network.classifies()) {
            return Err(Error::new(
                ErrorKind::Model,
                "the model does not both segment and classify, so it cannot make a finding",
            )
            .hint("use a model that does both; `multirnet compare` scores the others")
            .at(Path::new(name)));
        }
        Ok(Self::with_network(network, card, digest))
    }

    /// Any network as a predictor, for tests and other engines; `digest` identifies its weights.
    pub fn with_network(network: Box<dyn Network>, card: ModelCard, digest: String) -> Self {
        Self {
            network,
            card,
            digest,
        }
    }

    /// Chooses the precision of the network's products.
    ///
    /// # Errors
    /// As [`Network::set_precision`].
    pub fn with_precision(mut self, precision: multirnet_kernels::Precision) -> Result<Self> {
        self.network.set_precision(precision)?;
        Ok(self)
    }

    /// What the model is.
    pub fn card(&self) -> &ModelCard {
        &self.card
    }

    /// SHA-256 of the model file, hexadecimal.
    pub fn model_digest(&self) -> &str {
        &self.digest
    }

    /// The network's configuration.
    pub fn config(&self) -> serde_json::Value {
        self.network.describe()
    }

    /// How many kinds of lesion the model tells apart: 1, or 2 for ground glass and consolidation.
    pub fn lesion_channels(&self) -> usize {
        self.network.lesion_channels()
    }

    /// The default options with the views that the model has been trained with, and the threshold
    /// that was chosen for it.
    pub fn options(&self) -> PredictOptions {
        let mut options = PredictOptions::default();
        if let Some(threshold) = self.card.threshold {
            options.threshold = threshold;
        }
        if let Some(input) = &self.card.input {
            options.prepare = input.apply(options.prepare);
        }
        options
    }

    /// The memory that a prediction would take at most.
    pub fn plan(&self, scan: &Geometry, lungs_given: bool, options: &PredictOptions) -> MemoryPlan {
        MemoryPlan::new(scan, lungs_given, self.network.as_ref(), options)
    }

    /// Analyses a scan. `lungs`, if given, replaces the segmentation of the lungs (1 right,
    /// 2 left, on the scan's grid). `source` says where the scan came from; its digests are
    /// computed here when it has none. `progress` is told of every stage.
    ///
    /// # Errors
    /// `Options` for a field out of range, `Memory` for a plan over its limit, `Scan` for what
    /// the input gate refuses, `Model` for a network that gives values that are no numbers.
    pub fn predict(
        &self,
        scan: &Volume<f32>,
        lungs: Option<&Volume<u8>>,
        mut source: Source,
        options: &PredictOptions,
        progress: &mut dyn FnMut(Stage),
    ) -> Result<Prediction> {
        options.validate()?;
        let network = self.network.as_ref();
        let (plan, room) =
            MemoryPlan::with_room(scan.geometry(), lungs.is_some(), network, options);
        progress(Stage::Plan(plan.clone()));
        plan.check()?;
        let mut timings = Vec::new();
        let mut watch = Watch {
            progress,
            timings: &mut timings,
        };

        let prepared = std::thread::scope(|scope| {
            // The digests are for the record only, so that they are computed beside the rest.
            (watch.progress)(Stage::Hash);
            let digests = scope.spawn(|| digests(scan, lungs, &mut source));
            let slot = watch.timings.len();
            let prepared = prepare_timed(scan, lungs, options, &mut watch);
            match digests.join() {
                Ok(timing) => watch.timings.insert(slot, timing),
                Err(panic) => std::panic::resume_unwind(panic),
            }
            prepared
        })?;
        let mut working = pipeline::run(network, &prepared, options, &room, &mut watch)?;

        let mut warnings = source.warnings.clone();
        warnings.extend(prepared.report.warnings.iter().cloned());
        warnings.extend(self.input_warning(options));
        warnings.extend(working.warnings.iter().cloned());
        let top = working.probabilities.top();
        let best = working.probabilities.to_array()[top.index()];
        if best < 0.5 {
            warnings.push(format!(
                "The most probable class, {top}, has a probability of only {best:.2}."
            ));
        }

        let (windows, voxels) = (working.windows, working.voxels);
        let probabilities = working.probabilities;
        let (maps, block) = watch.time(Stage::Restore, |_| {
            if options.complete_consolidation {
                consolidation::complete(&mut working.lesion, &prepared, options)?;
            }
            restore(scan.geometry(), prepared, working, options, &mut warnings)
        })?;
        let (involvement, lesion_kinds) = watch.time(Stage::Measure, |_| -> Result<_> {
            // The block holds both lungs, and measuring it gives what measuring the scan would.
            let (lungs, lesions) = (block.cut(&maps.lungs)?, block.cut(&maps.lesions)?);
            let kinds = if network.lesion_channels() == LesionKind::ALL.len() {
                kind_involvement(&lungs, &lesions)?
            } else {
                Vec::new()
            };
            Ok((involvement(&lungs, &lesions)?, kinds))
        })?;
        tracing::debug!(windows, voxels, ?timings, "scan analysed");
        Ok(Prediction {
            finding: Finding {
                schema: SCHEMA,
                notice: NOTICE.to_owned(),
                source,
                geometry: *scan.geometry(),
                diagnosis: top,
                probabilities,
                involvement,
                lesion_kinds,
                warnings,
                provenance: self.provenance(options, windows, voxels)?,
                timings,
            },
            maps,
        })
    }

    fn input_warning(&self, options: &PredictOptions) -> Option<String> {
        let trained = self.card.input.as_ref()?;
        (*trained != ModelInput::from(&options.prepare)).then(|| {
            "The scan was prepared in another way than the scans that the model has been trained \
             with (HU window, spacing, margin or coarse shape)."
                .to_owned()
        })
    }

    fn provenance(
        &self,
        options: &PredictOptions,
        windows: usize,
        voxels: usize,
    ) -> Result<Provenance> {
        let json = |e: serde_json::Error| {
            Error::new(ErrorKind::Options, format!("the options as JSON: {e}"))
        };
        let config = serde_json::to_value(options).map_err(json)?;
        Ok(Provenance {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            model: self.card.name.clone(),
            model_sha256: self.digest.clone(),
            trained_on: self.card.trained_on.clone(),
            config_sha256: sha256(&serde_json::to_vec(&config).map_err(json)?),
            config,
            windows,
            voxels,
        })
    }
}

/// The fastest way to run `system`, which lies on `device`.
///
/// # Errors
/// `Model` if the processor lacks what it needs.
pub fn network_of(system: System, device: Device, on_cpu: bool) -> Result<Box<dyn Network>> {
    let (config, net) = (system.config().clone(), system);
    Ok(match net.net {
        AnyNet::MultiRNet(net) if on_cpu && Engine::supports(net.config()) => {
            Box::new(Engine::new(&net)?)
        }
        AnyNet::MultiRNet(net) if config.classifies() => Box::new(BurnNetwork::new(net, device)?),
        _ => Box::new(SystemNetwork::new(net, device)),
    })
}

/// Fills in the digests that `source` lacks; their time was spent beside other stages.
fn digests(scan: &Volume<f32>, lungs: Option<&Volume<u8>>, source: &mut Source) -> Timing {
    let start = Instant::now();
    if source.content_sha256.is_empty() {
        source.content_sha256 = content_sha256(scan);
    }
    if source.lungs_sha256.is_none() {
        source.lungs_sha256 = lungs.map(content_sha256);
    }
    Timing {
        stage: Stage::Hash.name().to_owned(),
        seconds: start.elapsed().as_secs_f64(),
    }
}

/// [`prepare`], with the lungs' time told apart.
fn prepare_timed(
    scan: &Volume<f32>,
    lungs: Option<&Volume<u8>>,
    options: &PredictOptions,
    watch: &mut Watch<'_>,
) -> Result<Prepared> {
    let config = &options.prepare;
    if lungs.is_some() || config.intensity != Intensity::Hu {
        return watch.time(Stage::Prepare, |_| Ok(prepare(scan, lungs, config)?));
    }
    // The gate's cheap part goes first: the search for lungs expects what it lets through.
    let (report, lungs) = watch.time(Stage::Lungs, |_| -> Result<_> {
        let report = check_scan(scan, &config.gate)?;
        Ok((report, segment_lungs(scan, &config.lungs)?))
    })?;
    watch.time(Stage::Prepare, |_| {
        Ok(prepare_checked(scan, report, lungs, config)?)
    })
}

/// Maps on the scan's own grid, and the block of it outside which they are 0.
pub(crate) fn restore(
    scan: &Geometry,
    prepared: Prepared,
    working: Working,
    options: &PredictOptions,
    warnings: &mut Vec<String>,
) -> Result<(Maps, NativeBox)> {
    let block = NativeBox::around(scan, prepared.global.geometry())?.ok_or_else(|| {
        Error::new(ErrorKind::Scan, "the lung box lies outside the scan")
            .hint("check the lung mask that was given")
    })?;
    if working.lesion.is_empty() {
        return Err(Error::new(
            ErrorKind::Model,
            "the model has no lesion channel",
        ));
    }
    let mut allowed = None;
    if options.restrict_to_lungs {
        let mut lungs = block.cut(&prepared.lungs)?;
        if options.lung_margin_mm > 0.0 {
            let spacing = prepared.local.geometry().spacing_mm();
            let radius = radius_voxels(spacing, options.lung_margin_mm);
            let grown = dilate(&prepared.local_lungs, radius).resample_nearest(block.geometry(), 0);
            for (a, g) in lungs.data_mut().iter_mut().zip(grown.data()) {
                *a |= g;
            }
        }
        allowed = Some(lungs);
    }
    let probability = NativeMap::new(working.lesion, block, allowed);
    let heatmap = working.heat.map(|map| {
        let (heat, any) = NativeMap::new(vec![map], block, None).scaled_to_one();
        if !any {
            warnings.push(
                "The heat map is empty: no part of the picture alone speaks for the predicted \
                 class."
                    .to_owned(),
            );
        }
        heat
    });
    let maps = Maps {
        lesions: probability.labels(options.threshold),
        probability,
        heatmap,
        lungs: prepared.lungs,
    };
    Ok((maps, block))
}
