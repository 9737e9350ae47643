//! facts.proto.

use regatta_types::facts::{
    EndpointLocation, EngineFacts, EngineProcess, EngineSettings, HostDetails, HostFacts, SocketId,
};
use regatta_types::gpu::{GpuBoard, GpuFacts, GpuInventory};
use regatta_types::reading::Reading;
use regatta_types::time::UnixNs;
use regatta_types::units::Bytes;

use crate::error::{At, ConvertError, Problem};
use crate::field::{Checked, cut, encoded, finite, list, optional, required, text, told};
use crate::limits::{FLAGS_MAX, GPUS_MAX, NAME_MAX, TEXT_MAX};
use crate::v1;

/// A reading and its message: how its value is read and written.
macro_rules! reading {
    ($value:ty = $message:ident, $oneof:ident, $read:expr, $write:expr) => {
        impl TryFrom<v1::$message> for Reading<$value> {
            type Error = ConvertError;
            fn try_from(message: v1::$message) -> Checked<Self> {
                match message.reading {
                    Some(v1::$oneof::Reading::Known(value)) => Ok(Self::Known($read(value)?)),
                    Some(v1::$oneof::Reading::NotAvailable(why)) => {
                        Ok(Self::missing(text("not_available", why, TEXT_MAX)?))
                    }
                    None => Err(ConvertError::new("reading", Problem::Missing)),
                }
            }
        }

        impl From<&Reading<$value>> for v1::$message {
            fn from(reading: &Reading<$value>) -> Self {
                let reading = match reading {
                    Reading::Known(value) => v1::$oneof::Reading::Known($write(value)),
                    Reading::NotAvailable { not_available } => {
                        v1::$oneof::Reading::NotAvailable(cut(not_available, TEXT_MAX))
                    }
                };
                Self { reading: Some(reading) }
            }
        }
    };
}

reading!(String = TextReading, text_reading, |v| text("known", v, NAME_MAX), |v: &String| cut(
    v, NAME_MAX
));
reading!(u32 = CountReading, count_reading, Checked::Ok, |v: &u32| *v);
reading!(Bytes = BytesReading, bytes_reading, |v| Checked::Ok(Bytes(v)), |v: &Bytes| v.0);
reading!(bool = FlagReading, flag_reading, Checked::Ok, |v: &bool| *v);
reading!(Vec<String> = TextsReading, texts_reading, texts, |v: &Vec<String>| v1::Texts {
    items: v.iter().take(FLAGS_MAX).map(|item| cut(item, NAME_MAX)).collect(),
});
reading!(f64 = NumberReading, number_reading, |v| finite("known", v), |v: &f64| *v);
reading!(
    EngineFacts = EngineReading,
    engine_reading,
    |v| EngineFacts::try_from(v).at("known"),
    v1::EngineFacts::from
);
reading!(
    GpuInventory = GpuInventoryReading,
    gpu_inventory_reading,
    |v| GpuInventory::try_from(v).at("known"),
    v1::GpuInventory::from
);

fn texts(m: v1::Texts) -> Checked<Vec<String>> {
    let len = m.items.len();
    if len > FLAGS_MAX {
        return Err(ConvertError::new("items", Problem::TooMany { len, max: FLAGS_MAX }));
    }
    m.items.into_iter().map(|item| text("items", item, NAME_MAX)).collect()
}

impl TryFrom<v1::HostFacts> for HostFacts {
    type Error = ConvertError;
    fn try_from(m: v1::HostFacts) -> Checked<Self> {
        Ok(Self {
            hostname: text("hostname", m.hostname, NAME_MAX)?,
            kernel: required("kernel", m.kernel)?,
            distribution: required("distribution", m.distribution)?,
            cpu_model: required("cpu_model", m.cpu_model)?,
            cpus: required("cpus", m.cpus)?,
            memory_total: required("memory_total", m.memory_total)?,
            agent_version: text("agent_version", m.agent_version, NAME_MAX)?,
            details: optional("details", m.details)?.unwrap_or_default(),
        })
    }
}

impl From<&HostFacts> for v1::HostFacts {
    fn from(facts: &HostFacts) -> Self {
        Self {
            hostname: cut(&facts.hostname, NAME_MAX),
            kernel: Some((&facts.kernel).into()),
            distribution: Some((&facts.distribution).into()),
            cpu_model: Some((&facts.cpu_model).into()),
            cpus: Some((&facts.cpus).into()),
            memory_total: Some((&facts.memory_total).into()),
            agent_version: cut(&facts.agent_version, NAME_MAX),
            details: told(&facts.details),
        }
    }
}

impl TryFrom<v1::HostDetails> for HostDetails {
    type Error = ConvertError;
    fn try_from(m: v1::HostDetails) -> Checked<Self> {
        Ok(Self {
            machine_id: required("machine_id", m.machine_id)?,
            cores: required("cores", m.cores)?,
            governor: required("governor", m.governor)?,
            numa_nodes: required("numa_nodes", m.numa_nodes)?,
            container: required("container", m.container)?,
            clock_source: required("clock_source", m.clock_source)?,
            clock_synchronised: required("clock_synchronised", m.clock_synchronised)?,
            disk_free: required("disk_free", m.disk_free)?,
        })
    }
}

impl From<&HostDetails> for v1::HostDetails {
    fn from(details: &HostDetails) -> Self {
        Self {
            machine_id: Some((&details.machine_id).into()),
            cores: Some((&details.cores).into()),
            governor: Some((&details.governor).into()),
            numa_nodes: Some((&details.numa_nodes).into()),
            container: Some((&details.container).into()),
            clock_source: Some((&details.clock_source).into()),
            clock_synchronised: Some((&details.clock_synchronised).into()),
            disk_free: Some((&details.disk_free).into()),
        }
    }
}

impl TryFrom<v1::EngineFacts> for EngineFacts {
    type Error = ConvertError;
    fn try_from(m: v1::EngineFacts) -> Checked<Self> {
        Ok(Self {
            engine: required("engine", m.engine)?,
            version: required("version", m.version)?,
            model: text("model", m.model, NAME_MAX)?,
            context_length: required("context_length", m.context_length)?,
            quantization: required("quantization", m.quantization)?,
            fixed_length: m.fixed_length,
            location: required("location", m.location)?,
            socket: m.socket.map(SocketId),
            settings: optional("settings", m.settings)?.unwrap_or_default(),
            process: optional("process", m.process)?.unwrap_or_default(),
        })
    }
}

impl From<&EngineFacts> for v1::EngineFacts {
    fn from(facts: &EngineFacts) -> Self {
        Self {
            engine: Some((&facts.engine).into()),
            version: Some((&facts.version).into()),
            model: cut(&facts.model, NAME_MAX),
            context_length: Some((&facts.context_length).into()),
            quantization: Some((&facts.quantization).into()),
            fixed_length: facts.fixed_length,
            location: Some((&facts.location).into()),
            socket: facts.socket.map(|socket| socket.0),
            settings: told(&facts.settings),
            process: told(&facts.process),
        }
    }
}

impl TryFrom<v1::EngineProcess> for EngineProcess {
    type Error = ConvertError;
    fn try_from(m: v1::EngineProcess) -> Checked<Self> {
        Ok(Self { started: m.started_unix_ns.map(UnixNs), resident: m.resident_bytes.map(Bytes) })
    }
}

impl From<&EngineProcess> for v1::EngineProcess {
    fn from(process: &EngineProcess) -> Self {
        Self {
            started_unix_ns: process.started.map(|at| at.0),
            resident_bytes: process.resident.map(|bytes| bytes.0),
        }
    }
}

impl TryFrom<v1::EngineSettings> for EngineSettings {
    type Error = ConvertError;
    fn try_from(m: v1::EngineSettings) -> Checked<Self> {
        Ok(Self {
            kv_dtype: required("kv_dtype", m.kv_dtype)?,
            prefix_cache: required("prefix_cache", m.prefix_cache)?,
            speculative: required("speculative", m.speculative)?,
            flags: required("flags", m.flags)?,
            slots: optional("slots", m.slots)?.unwrap_or_else(Reading::untold),
        })
    }
}

impl From<&EngineSettings> for v1::EngineSettings {
    fn from(settings: &EngineSettings) -> Self {
        Self {
            kv_dtype: Some((&settings.kv_dtype).into()),
            prefix_cache: Some((&settings.prefix_cache).into()),
            speculative: Some((&settings.speculative).into()),
            flags: Some((&settings.flags).into()),
            slots: Some((&settings.slots).into()),
        }
    }
}

impl TryFrom<v1::EndpointLocation> for EndpointLocation {
    type Error = ConvertError;
    fn try_from(m: v1::EndpointLocation) -> Checked<Self> {
        use v1::endpoint_location::Place;
        match m.place {
            Some(Place::Loopback(loopback)) => match u16::try_from(loopback.port) {
                Ok(port) => Ok(Self::Loopback { port }),
                Err(_) => {
                    Err(ConvertError::new("loopback.port", Problem::OutOfRange("0 to 65,535")))
                }
            },
            Some(Place::Remote(_)) => Ok(Self::Remote),
            None => Err(ConvertError::new("place", Problem::Missing)),
        }
    }
}

impl From<&EndpointLocation> for v1::EndpointLocation {
    fn from(location: &EndpointLocation) -> Self {
        use v1::endpoint_location::{Loopback, Place, Remote};
        let place = match *location {
            EndpointLocation::Loopback { port } => Place::Loopback(Loopback { port: port.into() }),
            EndpointLocation::Remote => Place::Remote(Remote {}),
        };
        Self { place: Some(place) }
    }
}

impl TryFrom<v1::GpuFacts> for GpuFacts {
    type Error = ConvertError;
    fn try_from(m: v1::GpuFacts) -> Checked<Self> {
        Ok(Self {
            index: m.index,
            uuid: text("uuid", m.uuid, NAME_MAX)?,
            name: required("name", m.name)?,
            pci_bus_id: required("pci_bus_id", m.pci_bus_id)?,
            memory_total: required("memory_total", m.memory_total)?,
            power_limit_w: required("power_limit_w", m.power_limit_w)?,
            power_limit_default_w: required("power_limit_default_w", m.power_limit_default_w)?,
            board: optional("board", m.board)?,
        })
    }
}

impl From<&GpuFacts> for v1::GpuFacts {
    fn from(facts: &GpuFacts) -> Self {
        Self {
            index: facts.index,
            uuid: cut(&facts.uuid, NAME_MAX),
            name: Some((&facts.name).into()),
            pci_bus_id: Some((&facts.pci_bus_id).into()),
            memory_total: Some((&facts.memory_total).into()),
            power_limit_w: Some((&facts.power_limit_w).into()),
            power_limit_default_w: Some((&facts.power_limit_default_w).into()),
            board: facts.board.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<v1::GpuBoard> for GpuBoard {
    type Error = ConvertError;
    fn try_from(m: v1::GpuBoard) -> Checked<Self> {
        Ok(Self {
            unified: m.unified,
            memory_reserved: required("memory_reserved", m.memory_reserved)?,
            persistence: required("persistence", m.persistence).map(switched)?,
            compute_mode: required("compute_mode", m.compute_mode)?,
            ecc: required("ecc", m.ecc).map(switched)?,
            pcie_gen_max: required("pcie_gen_max", m.pcie_gen_max)?,
            pcie_width_max: required("pcie_width_max", m.pcie_width_max)?,
            memory_bus_bits: required("memory_bus_bits", m.memory_bus_bits)?,
            memory_clock_max_mhz: required("memory_clock_max_mhz", m.memory_clock_max_mhz)?,
        })
    }
}

impl From<&GpuBoard> for v1::GpuBoard {
    fn from(board: &GpuBoard) -> Self {
        Self {
            unified: board.unified,
            memory_reserved: Some((&board.memory_reserved).into()),
            persistence: Some((&board.persistence.clone().map(u32::from)).into()),
            compute_mode: Some((&board.compute_mode).into()),
            ecc: Some((&board.ecc.clone().map(u32::from)).into()),
            pcie_gen_max: Some((&board.pcie_gen_max).into()),
            pcie_width_max: Some((&board.pcie_width_max).into()),
            memory_bus_bits: Some((&board.memory_bus_bits).into()),
            memory_clock_max_mhz: Some((&board.memory_clock_max_mhz).into()),
        }
    }
}

/// Off is 0.
fn switched(number: Reading<u32>) -> Reading<bool> {
    number.map(|number| number != 0)
}

impl TryFrom<v1::GpuInventory> for GpuInventory {
    type Error = ConvertError;
    fn try_from(m: v1::GpuInventory) -> Checked<Self> {
        Ok(Self {
            driver: required("driver", m.driver)?,
            cuda_driver: required("cuda_driver", m.cuda_driver)?,
            gpus: list("gpus", m.gpus, GPUS_MAX)?,
        })
    }
}

impl From<&GpuInventory> for v1::GpuInventory {
    fn from(inventory: &GpuInventory) -> Self {
        Self {
            driver: Some((&inventory.driver).into()),
            cuda_driver: Some((&inventory.cuda_driver).into()),
            gpus: encoded(&inventory.gpus),
        }
    }
}
