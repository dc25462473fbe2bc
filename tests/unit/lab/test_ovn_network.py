from vtrace_ovs.lab.ovn_network import ACLS, CHASSIS, GATEWAY, VIP_OF_ONE, VIP_OF_TWO, VMS, northbound


def commands() -> list[str]:
    return " ".join(northbound()).removeprefix("-- ").split(" -- ")


def test_every_vm_has_a_port_that_only_its_own_addresses_pass() -> None:
    said = commands()
    for vm in VMS:
        assert f"lsp-add {vm.switch} {vm.name}" in said
        assert f"lsp-set-port-security {vm.name} {vm.mac} {vm.address}" in said
    assert {vm.chassis for vm in VMS} == set(CHASSIS)
    assert len({vm.mac for vm in VMS}) == len({vm.address for vm in VMS}) == len(VMS)


def test_each_subnets_gateway_is_a_port_of_the_router() -> None:
    for vm in VMS:
        assert any(each.startswith("lrp-add router ") and each.endswith(f" {vm.gateway}/24") for each in commands())


def test_load_balancers_lead_to_one_backend_and_to_two() -> None:
    balancers = [each.split() for each in commands() if each.startswith("lb-add ")]
    assert [(words[2], words[3].count(":")) for words in balancers] == [
        (f"{VIP_OF_ONE}:80", 1),
        (f"{VIP_OF_TWO}:80", 2),
    ]


def test_acls_of_every_verdict_are_asked_for() -> None:
    assert {verdict for *_, verdict in ACLS} == {"allow-related", "allow-stateless", "reject", "drop"}
    assert sum("acl-add data" in each for each in commands()) == len(ACLS)


def test_the_gateway_chassis_translates_to_the_public_address() -> None:
    said = commands()
    assert f"lrp-set-gateway-chassis router-public {GATEWAY}" in said
    assert "lr-nat-add router snat 172.16.0.1 10.0.1.0/24" in said
