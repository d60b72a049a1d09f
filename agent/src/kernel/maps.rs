//! The programs' maps as Rust values.

use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, MapData, MapError, PerCpuArray, RingBuf},
};
use stoker_ebpf_abi::{COST_BUCKETS, Config, Counters, names};

use super::error::KernelError;

/// Lets aya write the configuration as bytes.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct ConfigBytes(Config);

// SAFETY: `repr(transparent)` over a `repr(C)` type of integers without padding (its size is
// asserted in the ABI crate).
unsafe impl Pod for ConfigBytes {}

/// Lets aya read the counters as bytes.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct CountersBytes(Counters);

// SAFETY: `repr(transparent)` over a `repr(C)` type of integers without padding (its size is
// asserted in the ABI crate); any bytes are a valid value.
unsafe impl Pod for CountersBytes {}

/// The maps of loaded programs.
pub struct Maps {
    samples: RingBuf<MapData>,
    counters: PerCpuArray<MapData, CountersBytes>,
    pids: HashMap<MapData, u32, u8>,
    /// Only in measuring builds.
    cost: Option<PerCpuArray<MapData, u64>>,
}

impl Maps {
    /// Takes the maps out of loaded programs and writes the configuration.
    pub fn take(ebpf: &mut Ebpf, config: Config) -> Result<Self, KernelError> {
        let mut settings: Array<MapData, ConfigBytes> = typed(ebpf, names::CONFIG)?;
        settings.set(0, ConfigBytes(config), 0).map_err(refused)?;
        let cost = ebpf.map(names::COST).is_some();
        Ok(Self {
            samples: typed(ebpf, names::SAMPLES)?,
            counters: typed(ebpf, names::COUNTERS)?,
            pids: typed(ebpf, names::TARGET_PIDS)?,
            cost: if cost { Some(typed(ebpf, names::COST)?) } else { None },
        })
    }

    /// Hands out the sample records in the ring, until it is empty or `sink` says to stop.
    pub fn drain_samples(&mut self, sink: &mut dyn FnMut(&[u8]) -> bool) {
        while let Some(record) = self.samples.next() {
            if !sink(&record) {
                return;
            }
        }
    }

    /// The counters, summed over CPUs.
    pub fn counters(&self) -> Result<Counters, KernelError> {
        let per_cpu = self.counters.get(&0, 0).map_err(refused)?;
        Ok(per_cpu.iter().fold(Counters::default(), |sum, of_cpu| sum.plus(of_cpu.0)))
    }

    /// Adds a process to a pid target.
    pub fn add_pid(&mut self, pid: u32) -> Result<(), MapError> {
        self.pids.insert(pid, 1, 0)
    }

    /// Takes a process from a pid target; true if it was there.
    pub fn remove_pid(&mut self, pid: u32) -> bool {
        self.pids.remove(&pid).is_ok()
    }

    /// True if a pid target names this process.
    pub fn has_pid(&self, pid: u32) -> bool {
        self.pids.get(&pid, 0).is_ok()
    }

    /// The cost histogram, summed over CPUs, in a measuring build.
    pub fn cost(&self) -> Result<Option<Vec<u64>>, KernelError> {
        let Some(map) = &self.cost else { return Ok(None) };
        (0..COST_BUCKETS)
            .map(|bucket| {
                let bucket = u32::try_from(bucket).unwrap_or(u32::MAX);
                let per_cpu = map.get(&bucket, 0).map_err(refused)?;
                Ok(per_cpu.iter().sum())
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }
}

/// A map of the object by its name.
pub(super) fn typed<M>(ebpf: &mut Ebpf, name: &str) -> Result<M, KernelError>
where
    M: TryFrom<aya::maps::Map, Error = MapError>,
{
    let map = ebpf.take_map(name).ok_or_else(|| {
        KernelError::refused(
            "looking for the programs' maps",
            std::io::Error::other(format!("the object has no map {name}")),
        )
    })?;
    M::try_from(map).map_err(refused)
}

fn refused(error: MapError) -> KernelError {
    KernelError::refused("using the programs' maps", error)
}
