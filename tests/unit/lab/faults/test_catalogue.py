from vtrace_ovs.lab.faults.catalogue import CATALOGUE, FAMILIES
from vtrace_ovs.lab.faults.fault import PLACES, FaultName
from vtrace_ovs.lab.topologies import load_topology
from vtrace_ovs.model.packet import family_of


def test_every_fault_is_in_one_family() -> None:
    names = [name for family in FAMILIES.values() for name in family]
    assert sorted(names, key=lambda name: name.value) == sorted(FaultName, key=lambda name: name.value)


def test_every_symptom_is_of_traffic_that_its_topology_has() -> None:
    for kind in CATALOGUE.values():
        assert kind.symptoms
        for symptom in kind.symptoms:
            overlay = load_topology(symptom.topology)
            for name in (symptom.source, symptom.destination):
                spoken = {family_of(address) for address in overlay.vm(name).addresses}
                assert spoken >= set(symptom.families)


def test_a_fault_takes_the_places_that_its_symptoms_say() -> None:
    for kind in CATALOGUE.values():
        assert kind.places
        assert set(kind.places) <= set(PLACES)
        assert "protocol" in kind.places or not kind.selective or kind.places == ("vm", "prefix")
        for symptom in kind.symptoms:
            assert "vm" in kind.places or symptom.vm is None
            assert "server" in kind.places or symptom.server is None
