//! Replicate groups: what stands for hosts in rollups. Hosts fall into 64 groups by a hash that never
//! changes, so that groups add over hours, hosts and labels, and an error bar that is computed over
//! groups holds as one over hosts does (DESIGN: storing sums of squares instead does not).

use std::sync::Arc;

use stoker_dag::LabelSet;

use super::api::TenantId;

/// How many groups there are. In files; a change makes old and new rollups disagree.
pub const REPLICATE_GROUPS: u8 = 64;
/// The attribute of rollup rows that says their group, `0` to `63`.
pub const GROUP_LABEL: &str = "replicate_group";
/// What keeps these hashes apart from others; never changes.
const CONTEXT: &str = "stoker 2026-11 replicate group of a host";

/// One of the groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicateGroup(u8);

impl ReplicateGroup {
    /// The group of a host by its persistent id.
    #[must_use]
    pub fn of_host(tenant: &TenantId, host_id: &[u8; 16]) -> Self {
        Self::hashed(tenant, host_id)
    }

    /// The group of a host of which only the name is known, as in what was pushed.
    #[must_use]
    pub fn of_name(tenant: &TenantId, host: &str) -> Self {
        Self::hashed(tenant, host.as_bytes())
    }

    fn hashed(tenant: &TenantId, host: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        let length = tenant.as_str().len() as u64;
        hasher.update(&length.to_le_bytes()).update(tenant.as_str().as_bytes()).update(host);
        Self(hasher.finalize().as_bytes()[0] % REPLICATE_GROUPS)
    }

    /// The group that a rollup's attributes name.
    #[must_use]
    pub fn of_attributes(attributes: &LabelSet) -> Option<Self> {
        let number: u8 = attributes.get(GROUP_LABEL).parse().ok()?;
        (number < REPLICATE_GROUPS).then_some(Self(number))
    }

    /// The group of this number.
    #[must_use]
    pub const fn of_number(number: u8) -> Self {
        Self(number % REPLICATE_GROUPS)
    }

    /// Its number.
    #[must_use]
    pub const fn at(self) -> usize {
        self.0 as usize
    }

    /// The attributes of its rows in rollups.
    #[must_use]
    pub fn attributes(self) -> LabelSet {
        LabelSet::new([(Arc::<str>::from(GROUP_LABEL), Arc::<str>::from(self.0.to_string()))])
    }

    /// What stands for a host id in its facts.
    #[must_use]
    pub const fn host_id(self) -> [u8; 16] {
        let mut id = [0; 16];
        id[0] = self.0;
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_never_change_and_all_are_used() {
        let tenant = TenantId::default_tenant();
        let of = |n: u8| ReplicateGroup::of_host(&tenant, &[n; 16]).at();
        assert_eq!([of(0), of(1), of(2), of(3)], FROZEN);
        let used: std::collections::BTreeSet<usize> =
            (0..2000).map(|n| ReplicateGroup::of_name(&tenant, &format!("web-{n}")).at()).collect();
        assert_eq!(used.len(), usize::from(REPLICATE_GROUPS));
    }

    /// In files: another value breaks stored rollups.
    const FROZEN: [usize; 4] = [63, 6, 48, 13];

    #[test]
    fn attributes_say_the_group() {
        let group = ReplicateGroup(17);
        assert_eq!(ReplicateGroup::of_attributes(&group.attributes()), Some(group));
        let wrong = LabelSet::new([(GROUP_LABEL, "64")]);
        assert_eq!(ReplicateGroup::of_attributes(&wrong), None);
        assert_eq!(ReplicateGroup::of_attributes(&LabelSet::default()), None);
    }
}
