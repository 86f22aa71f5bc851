package runtime_test

import "testing"

// TestWithRunc repeats what matters most with the other OCI runtime.
func TestWithRunc(t *testing.T) {
	t.Setenv(testRuntime, "runc")
	for name, test := range map[string]func(*testing.T){
		"output":   TestContainerWritesAndEnds,
		"codes":    TestExitCodes,
		"commands": TestUnknownCommandsSayWhatDockerSays,
		"mounts":   TestMountsOfTheWrongSortSayWhatDockerSays,
		"terminal": TestTerminal,
		"size":     TestTerminalHasItsSizeFromTheFirstMoment,
		"exec":     TestExec,
		"failed":   TestContainerEndsAfterAFailedExec,
		"init":     TestInit,
		"late":     TestLateProbeIsKilledWithItsChildren,
		"pause":    TestPauseHoldsAllProcessesBack,
		"update":   TestUpdateOfALivingContainer,
		"memory":   TestMemoryLimitKills,
		"crash":    TestRestartedAgentFindsItsContainers,
	} {
		t.Run(name, test)
	}
}
