//! Reads any bytes as a version; what is read must say the same when composed again.

use std::num::NonZeroU64;

use tenbin_model::ids::ClusterName;
use tenbin_model::resource_version::{ResourceVersion, VersionSpace};

/// Panics where a law does not hold.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match ResourceVersion::parse(text) {
        Ok(ResourceVersion::Unset) => assert_eq!(text, ""),
        Ok(ResourceVersion::Any) => assert_eq!(text, "0"),
        Ok(ResourceVersion::Bare(version)) => assert_eq!(text, version.to_string()),
        Ok(ResourceVersion::Composite(composite)) => {
            let components: Vec<u64> = (0..).map_while(|slot| composite.component(slot)).collect();
            if components.len() < 2 {
                return;
            }
            let names: Vec<ClusterName> = (0..components.len())
                .map(|slot| ClusterName::new(&format!("m{slot}")).expect("a name"))
                .collect();
            let epoch = NonZeroU64::new(composite.epoch()).expect("an epoch");
            let space = VersionSpace::new(epoch, names.clone()).expect("a space");
            let own = composite.own();
            assert_eq!(space.compose_for(own, names.iter().zip(components)), text);
        }
        Err(_) => {}
    }
}
