//! What the hosts give together, as `run.json` has it.

use std::collections::BTreeMap;

use regatta_figures::capacity::{Capacity, ExcludedHost, NoCapacity};
use regatta_types::reading::Reading;
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::words::capacity::{lacking, member, why_left_out, why_none};

pub(super) struct Written<'a>(&'a Capacity);

pub(super) fn written(capacity: &Result<Capacity, NoCapacity>) -> Reading<Written<'_>> {
    match capacity {
        Ok(capacity) => Reading::Known(Written(capacity)),
        Err(why) => Reading::missing(why_none(*why)),
    }
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let capacity = self.0;
        let left_out = capacity.left_out.iter().map(|ExcludedHost { host, why }| {
            BTreeMap::from([("host", member(host)), ("why", why_left_out(why))])
        });
        let lacking = capacity.not_available.iter().map(lacking);
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("hosts", &capacity.hosts)?;
        object.serialize_entry("left_out", &left_out.collect::<Vec<_>>())?;
        object.serialize_entry("not_available", &lacking.collect::<Vec<_>>())?;
        object.serialize_entry("decode", &capacity.decode)?;
        object.serialize_entry("peak_output_tps", &capacity.peak_output_tps)?;
        object.serialize_entry("users", &capacity.users)?;
        object.serialize_entry("power_w", &capacity.power_w)?;
        object.serialize_entry("power_unattributed", &capacity.power_unattributed)?;
        object.serialize_entry("price_per_million", &capacity.price_per_million)?;
        object.end()
    }
}
