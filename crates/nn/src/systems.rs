//! Every net that can be trained, scored and compared here, behind one type.
//!
//! [`SystemConfig`] names a net and holds its configuration; [`SystemConfig::init`] makes a
//! [`System`], whose [`Answer`] loss, training and scoring share. A new net is one file under
//! `nets/` with a [`Net`] and its [`NetConfig`], and one line in the table at the end of this file.

use crate::config::{ClassFrom, MultiRNetConfig};
use crate::error::{Error, ErrorKind, Result};
use crate::nets::*;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// What a net says of a batch of windows.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Lesion probabilities `[batch, K, d, h, w]`: every output that the segmentation loss is
    /// averaged over (passes, deep supervision), the result last. Empty if the net does not
    /// segment.
    pub lesion: Vec<Tensor<5>>,
    /// Class logits `[batch, 3]` in the order normal, CAP, COVID-19: every output that the
    /// cross-entropy is averaged over. Empty if the net does not classify.
    pub class_logits: Vec<Tensor<2>>,
    /// Class logits that are the result, where they are not the last of `class_logits`.
    pub chosen_logits: Option<Tensor<2>>,
    /// Probabilities `[batch, 1, d, h, w]` that are supervised by the lesions' edges in each slice
    /// (Inf-Net).
    pub edges: Vec<Tensor<5>>,
    /// Features `[batch, C, d', h', w']` whose global average goes into the linear layer of the
    /// classifier, for Grad-CAM.
    pub class_features: Option<Tensor<5>>,
}

impl Answer {
    /// The lesion map that is the result, `[batch, K, d, h, w]`.
    pub fn lesion(&self) -> Option<Tensor<5>> {
        self.lesion.last().cloned()
    }

    /// The class logits that are the result, `[batch, 3]`.
    pub fn logits(&self) -> Option<Tensor<2>> {
        self.chosen_logits
            .clone()
            .or_else(|| self.class_logits.last().cloned())
    }
}

impl Output {
    /// This output in the form that all systems share; the result's class logits are those that
    /// `from` names.
    pub fn into_answer(self, from: ClassFrom) -> Answer {
        let chosen_logits = self.class_logits(from);
        let class_features = self.class_features(from);
        let (lesion, logits): (Vec<_>, Vec<_>) = self
            .passes
            .into_iter()
            .map(|pass| (pass.lesion, pass.class_logits))
            .unzip();
        Answer {
            lesion,
            class_logits: logits.into_iter().flatten().collect(),
            chosen_logits,
            class_features,
            edges: Vec::new(),
        }
    }
}

/// What is known of a system, for tables and documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SystemCard {
    /// Its usual name.
    pub name: &'static str,
    /// Where it was published: authors, title, venue, year, DOI or arXiv number.
    pub source: &'static str,
    /// What this implementation changes or had to choose.
    pub differs: &'static str,
}

/// A net that answers for windows of CT.
pub trait Net: Module {
    /// The net's answer.
    ///
    /// # Shapes
    ///
    /// - `x`: CT in \[0, 1\], `[batch, 1, d, h, w]`
    ///
    /// # Panics
    ///
    /// For a window that [`NetConfig::check_window`] refuses.
    fn answer(&self, x: Tensor<5>) -> Answer;

    /// Weights `[C, 3]` of the linear layer that follows the global average of
    /// [`Answer::class_features`], for Grad-CAM; `None` if there is no such place.
    fn class_weights(&self) -> Option<Tensor<2>> {
        None
    }
}

/// The configuration of a [`Net`].
pub trait NetConfig: Serialize + DeserializeOwned + Clone + PartialEq + std::fmt::Debug {
    /// The net that it makes.
    type Net: Net;
    /// What is known of the system.
    const CARD: SystemCard;
    /// Names that [`preset`](Self::preset) knows; `base` is the published size.
    const PRESETS: &'static [&'static str];

    /// The preset called `name`, if there is one.
    fn preset(name: &str) -> Option<Self>;

    /// Checks every field's range.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the field.
    fn validate(&self) -> Result<()>;

    /// Checks that a window of `shape` (d, h, w) can pass through the net.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Mismatch`] with the shapes that can.
    fn check_window(&self, shape: [usize; 3]) -> Result<()>;

    /// Whether it gives lesion maps.
    fn segments(&self) -> bool;

    /// Whether it gives classes.
    fn classifies(&self) -> bool;

    /// Lesion channels K of its maps.
    fn lesion_channels(&self) -> usize {
        1
    }

    /// Makes the net on `device`; it trains if the device is an autodiff device.
    ///
    /// # Panics
    ///
    /// If [`validate`](Self::validate) would refuse the configuration.
    fn init(&self, device: &Device) -> Self::Net;
}

impl Net for MultiRNet {
    fn answer(&self, x: Tensor<5>) -> Answer {
        self.forward(x).into_answer(self.config().class_from)
    }

    fn class_weights(&self) -> Option<Tensor<2>> {
        // The first columns act on the class features, the rest on the deepest feature.
        let linear = &self.classification.as_ref()?.linear;
        Some(
            linear
                .weight
                .val()
                .narrow(0, 0, self.config().class_channels[5]),
        )
    }
}

impl NetConfig for MultiRNetConfig {
    type Net = MultiRNet;
    const CARD: SystemCard = SystemCard {
        name: "MultiR-Net",
        source: "MultiR-Net: a novel joint learning network for COVID-19 segmentation and \
                 classification. Computers in Biology and Medicine 144:105340, 2022.",
        differs: "3³ kernels instead of V-Net's 5³ (preset `vnet5`); every choice that the paper \
                  leaves open is a field of the configuration.",
    };
    const PRESETS: &'static [&'static str] = &Self::PRESETS;

    fn preset(name: &str) -> Option<Self> {
        Self::preset(name)
    }

    fn validate(&self) -> Result<()> {
        self.validate()
    }

    fn check_window(&self, shape: [usize; 3]) -> Result<()> {
        Self::check_window(shape)
    }

    fn segments(&self) -> bool {
        true
    }

    fn classifies(&self) -> bool {
        self.classification
    }

    fn lesion_channels(&self) -> usize {
        self.lesion_channels
    }

    fn init(&self, device: &Device) -> MultiRNet {
        self.init(device)
    }
}

/// One configuration of `C`: `fields` over the preset, or over the defaults without one.
fn read<C: NetConfig>(preset: Option<&str>, fields: Map<String, Value>) -> Result<C> {
    let bad = |reason: String| Error::new(ErrorKind::Config, reason);
    let mut whole = Map::new();
    if let Some(name) = preset {
        let config = C::preset(name).ok_or_else(|| {
            let known = C::PRESETS.join(", ");
            bad(format!("model.preset {name:?} is unknown (known: {known})"))
        })?;
        if let Ok(Value::Object(base)) = serde_json::to_value(config) {
            whole = base;
        }
    }
    whole.extend(fields);
    serde_json::from_value(Value::Object(whole)).map_err(|e| bad(format!("model: {e}")))
}

macro_rules! systems {
    ($($name:literal => $net:ident: $config:ident,)+) => {
        /// Any of the nets.
        #[derive(Module, Debug)]
        #[allow(clippy::large_enum_variant, reason = "there is one net in a process at a time")]
        pub enum AnyNet {
            $(#[doc = concat!("See [`", stringify!($net), "`].")] $net($net),)+
        }

        /// Which net, and its configuration.
        ///
        /// In files a table with the keys `system` (default `multirnet`), `preset` (optional) and
        /// the net's own fields, which replace the preset's.
        #[derive(Debug, Clone, PartialEq)]
        pub enum SystemConfig {
            $(#[doc = concat!("See [`", stringify!($config), "`].")] $net($config),)+
        }

        $(impl From<$config> for SystemConfig {
            fn from(config: $config) -> Self {
                Self::$net(config)
            }
        })+

        impl SystemConfig {
            /// Names of all systems, as in the key `system`.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// The system's name, as in the key `system`.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$net(_) => $name,)+ }
            }

            /// The system called `name` with a preset and further fields.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Config`] for a name, preset, field or value that is not known.
            pub fn read(name: &str, preset: Option<&str>, fields: Map<String, Value>) -> Result<Self> {
                match name {
                    $($name => read::<$config>(preset, fields).map(Self::$net),)+
                    _ => Err(Error::new(
                        ErrorKind::Config,
                        format!(
                            "model.system {name:?} is unknown (known: {})",
                            Self::NAMES.join(", ")
                        ),
                    )),
                }
            }

            /// Its configuration as JSON, without the system's name.
            fn fields(&self) -> serde_json::Result<Value> {
                match self { $(Self::$net(config) => serde_json::to_value(config),)+ }
            }

            /// What is known of the system.
            pub fn card(&self) -> SystemCard {
                match self { $(Self::$net(_) => <$config as NetConfig>::CARD,)+ }
            }

            /// Names of its presets.
            pub fn presets(&self) -> &'static [&'static str] {
                match self { $(Self::$net(_) => <$config as NetConfig>::PRESETS,)+ }
            }

            /// See [`NetConfig::validate`].
            ///
            /// # Errors
            ///
            /// As there.
            pub fn validate(&self) -> Result<()> {
                match self { $(Self::$net(config) => NetConfig::validate(config),)+ }
            }

            /// See [`NetConfig::check_window`].
            ///
            /// # Errors
            ///
            /// As there.
            pub fn check_window(&self, shape: [usize; 3]) -> Result<()> {
                match self { $(Self::$net(config) => NetConfig::check_window(config, shape),)+ }
            }

            /// Whether it gives lesion maps.
            pub fn segments(&self) -> bool {
                match self { $(Self::$net(config) => NetConfig::segments(config),)+ }
            }

            /// Whether it gives classes.
            pub fn classifies(&self) -> bool {
                match self { $(Self::$net(config) => NetConfig::classifies(config),)+ }
            }

            /// Lesion channels K.
            pub fn lesion_channels(&self) -> usize {
                match self { $(Self::$net(config) => NetConfig::lesion_channels(config),)+ }
            }

            /// Makes the net on `device`; it trains if the device is an autodiff device.
            ///
            /// # Panics
            ///
            /// If [`validate`](Self::validate) would refuse the configuration.
            pub fn init(&self, device: &Device) -> System {
                System {
                    net: match self {
                        $(Self::$net(config) => AnyNet::$net(NetConfig::init(config, device)),)+
                    },
                    config: self.clone(),
                }
            }
        }

        impl AnyNet {
            fn answer(&self, x: Tensor<5>) -> Answer {
                match self { $(Self::$net(net) => net.answer(x),)+ }
            }

            fn class_weights(&self) -> Option<Tensor<2>> {
                match self { $(Self::$net(net) => net.class_weights(),)+ }
            }
        }
    };
}

/// A net with its configuration.
#[derive(Module, Debug)]
pub struct System {
    /// The net.
    pub net: AnyNet,
    #[module(skip)]
    config: SystemConfig,
}

impl System {
    /// The configuration that the net was made from.
    pub fn config(&self) -> &SystemConfig {
        &self.config
    }

    /// The net's answer; see [`Net::answer`].
    ///
    /// # Shapes
    ///
    /// - `x`: CT in \[0, 1\], `[batch, 1, d, h, w]`
    ///
    /// # Panics
    ///
    /// For a window that [`SystemConfig::check_window`] refuses.
    pub fn answer(&self, x: Tensor<5>) -> Answer {
        self.net.answer(x)
    }

    /// Weights `[C, 3]` for Grad-CAM; see [`Net::class_weights`].
    pub fn class_weights(&self) -> Option<Tensor<2>> {
        self.net.class_weights()
    }

    /// Numbers that are trained: weights and biases, without the running statistics of norms.
    pub fn trained_parameters(&self) -> usize {
        crate::weights::trained_parameters(&self.net)
    }
}

impl From<MultiRNet> for System {
    fn from(net: MultiRNet) -> Self {
        Self {
            config: net.config().clone().into(),
            net: AnyNet::MultiRNet(net),
        }
    }
}

impl Default for SystemConfig {
    fn default() -> Self {
        Self::MultiRNet(MultiRNetConfig::default())
    }
}

impl Serialize for SystemConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        use serde::ser::Error;
        let mut map = Map::from_iter([("system".to_owned(), self.name().into())]);
        if let Value::Object(fields) = self.fields().map_err(S::Error::custom)? {
            // TOML has no null: what is none is left out.
            map.extend(fields.into_iter().filter(|(_, value)| !value.is_null()));
        }
        map.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SystemConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut map = Map::deserialize(deserializer)?;
        let mut text = |key: &str| match map.remove(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(D::Error::custom(format!("model.{key} {other} is no name"))),
        };
        let (name, preset) = (text("system")?, text("preset")?);
        let name = name.as_deref().unwrap_or("multirnet");
        Self::read(name, preset.as_deref(), map).map_err(D::Error::custom)
    }
}

// The table of all systems: the name in files, the net, its configuration.
systems! {
    "multirnet" => MultiRNet: MultiRNetConfig,
    "unet3d" => UNet3d: UNet3dConfig,
    "unetpp3d" => UNetPp3d: UNetPp3dConfig,
    "zhou" => Zhou: ZhouConfig,
    "densenet" => DenseNet3d: DenseNet3dConfig,
    "medt" => MedT: MedTConfig,
    "trans-unet" => TransUNet: TransUNetConfig,
    "inf-net" => InfNet: InfNetConfig,
    "jcs" => Jcs: JcsConfig,
    "res2net" => Res2Net: Res2NetConfig,
}
