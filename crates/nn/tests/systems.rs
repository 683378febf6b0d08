//! The table of systems: names, configurations and properties of every system.

use multirnet_nn::{ErrorKind, MultiRNetConfig, SystemConfig};
use serde_json::json;

#[test]
fn a_configuration_without_system_is_multirnet() {
    let config: SystemConfig = serde_json::from_value(json!({"preset": "small"})).unwrap();
    assert_eq!(config, MultiRNetConfig::small().into());
    let config: SystemConfig = serde_json::from_value(json!({})).unwrap();
    assert_eq!(config, SystemConfig::default());
    // Weights files of earlier versions hold the configuration in this form.
    let fields = serde_json::to_value(MultiRNetConfig::vnet5()).unwrap();
    let config: SystemConfig = serde_json::from_value(fields).unwrap();
    assert_eq!(config, MultiRNetConfig::vnet5().into());
}

#[test]
fn every_system_has_presets_a_card_and_takes_the_papers_window() {
    for name in SystemConfig::NAMES {
        let base = SystemConfig::read(name, Some("base"), serde_json::Map::new()).unwrap();
        let small = SystemConfig::read(name, Some("small"), serde_json::Map::new()).unwrap();
        assert_ne!(base, small, "{name}");
        for config in [base, small] {
            assert_eq!(config.name(), *name);
            config.validate().unwrap();
            config.check_window([32, 96, 96]).unwrap();
            assert!(config.segments() || config.classifies(), "{name}");
            assert!(config.presets().contains(&"small"));
            let card = config.card();
            for text in [card.name, card.source, card.differs] {
                assert!(text.len() > 2, "{name}: {text}");
            }
            // The configuration survives JSON, and also with all its fields written out.
            let written = serde_json::to_value(&config).unwrap();
            assert_eq!(written["system"], *name);
            let back: SystemConfig = serde_json::from_value(written).unwrap();
            assert_eq!(back, config);
        }
    }
}

#[test]
fn what_is_unknown_is_refused_with_what_is_known() {
    let none = serde_json::Map::new;
    let error = SystemConfig::read("unet4d", None, none()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("unet3d"), "{error}");
    let error = SystemConfig::read("unet3d", Some("huge"), none()).unwrap_err();
    assert!(error.to_string().contains("base, small"), "{error}");
    for bad in [
        json!({"system": 3}),
        json!({"preset": ["small"]}),
        json!({"system": "unet3d", "iterations": 2}),
        json!({"system": "medt", "preset": "small", "width": "wide"}),
    ] {
        assert!(
            serde_json::from_value::<SystemConfig>(bad.clone()).is_err(),
            "{bad}"
        );
    }
}
