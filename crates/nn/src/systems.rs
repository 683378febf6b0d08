//! One type for all nets that can be trained, scored and compared here.
//!
//! [`SystemConfig`] names a net and holds its configuration. [`SystemConfig::init`] makes a
//! [`System`]. Loss, training and scoring use its [`ModelOutput`]. A new net needs one file under
//! `nets/` with a [`Net`] and its [`NetConfig`], and one line in the table at the end of this file.

pub use crate::net::{ModelOutput, Net, NetConfig, SystemCard};

use crate::config::MultiRNetConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::nets::*;
use crate::tensors::trained_parameters;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// A configuration of `C`: `fields` replace those of the preset, or of the default without a
/// preset.
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
        /// A net of any system.
        #[derive(Module, Debug)]
        #[allow(clippy::large_enum_variant, reason = "there is one net in a process at a time")]
        pub enum AnyNet {
            $(#[doc = concat!("See [`", stringify!($net), "`].")] $net($net),)+
        }

        /// The configuration of a net of any system.
        ///
        /// In files it is a table with the keys `system` (default `multirnet`), `preset` (optional)
        /// and the net's own fields, which replace the preset's.
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

            /// The configuration of the system `name`, from a preset and further fields.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Config`] if the name, the preset, a field or a value is unknown.
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

            /// The configuration as JSON, without the system's name.
            fn fields(&self) -> serde_json::Result<Value> {
                match self { $(Self::$net(config) => serde_json::to_value(config),)+ }
            }

            /// Name, source and differences of the system.
            pub fn card(&self) -> SystemCard {
                match self { $(Self::$net(_) => <$config as NetConfig>::CARD,)+ }
            }

            /// Names of the system's presets.
            pub fn presets(&self) -> &'static [&'static str] {
                match self { $(Self::$net(_) => <$config as NetConfig>::PRESETS,)+ }
            }

            /// Checks every field's range.
            ///
            /// # Errors
            ///
            /// Those of [`NetConfig::validate`].
            pub fn validate(&self) -> Result<()> {
                match self { $(Self::$net(config) => NetConfig::validate(config),)+ }
            }

            /// Checks that a window of `shape` (d, h, w) can pass through the net.
            ///
            /// # Errors
            ///
            /// Those of [`NetConfig::check_window`].
            pub fn check_window(&self, shape: [usize; 3]) -> Result<()> {
                match self { $(Self::$net(config) => NetConfig::check_window(config, shape),)+ }
            }

            /// Whether the net gives lesion maps.
            pub fn segments(&self) -> bool {
                match self { $(Self::$net(config) => NetConfig::segments(config),)+ }
            }

            /// Whether the net gives classes.
            pub fn classifies(&self) -> bool {
                match self { $(Self::$net(config) => NetConfig::classifies(config),)+ }
            }

            /// Number K of lesion channels.
            pub fn lesion_channels(&self) -> usize {
                match self { $(Self::$net(config) => NetConfig::lesion_channels(config),)+ }
            }

            /// Makes the net on `device`. On an autodiff device it trains.
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
            fn answer(&self, x: Tensor<5>) -> ModelOutput {
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

    /// Runs the net; see [`Net::answer`].
    ///
    /// # Shapes
    ///
    /// - `x`: CT in \[0, 1\], `[batch, 1, d, h, w]`
    ///
    /// # Panics
    ///
    /// For a window that [`SystemConfig::check_window`] refuses.
    pub fn answer(&self, x: Tensor<5>) -> ModelOutput {
        self.net.answer(x)
    }

    /// Weights `[C, 3]` for Grad-CAM; see [`Net::class_weights`].
    pub fn class_weights(&self) -> Option<Tensor<2>> {
        self.net.class_weights()
    }

    /// Number of trained parameters, without the running statistics of norms.
    pub fn trained_parameters(&self) -> usize {
        trained_parameters(&self.net)
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
            // TOML does not have null, so fields without a value are left out.
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
            Some(other) => Err(D::Error::custom(format!(
                "model.{key} is {other}, which is not a name"
            ))),
        };
        let (name, preset) = (text("system")?, text("preset")?);
        let name = name.as_deref().unwrap_or("multirnet");
        Self::read(name, preset.as_deref(), map).map_err(D::Error::custom)
    }
}

// The table of all systems: the name in files, the net, and its configuration.
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
