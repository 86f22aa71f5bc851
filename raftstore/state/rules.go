package state

import "github.com/spearheadcloud/spearhead/raftstore/command"

// rule carries out one sort of command. An error of it is the command's
// refusal: then nothing has changed.
type rule func(*transaction, command.Command) error

// rules has one for each command.
var rules = map[command.Number]rule{
	command.NumberCreateAccount:    on((*transaction).createAccount),
	command.NumberRemoveAccount:    on((*transaction).removeAccount),
	command.NumberAddKey:           on((*transaction).addKey),
	command.NumberRemoveKey:        on((*transaction).removeKey),
	command.NumberPutPackage:       on((*transaction).putPackage),
	command.NumberPutNetwork:       on((*transaction).putNetwork),
	command.NumberPutNode:          on((*transaction).putNode),
	command.NumberSetNodeInfo:      on((*transaction).setNodeInfo),
	command.NumberRemoveNode:       on((*transaction).removeNode),
	command.NumberReserveContainer: on((*transaction).reserveContainer),
	command.NumberReleaseContainer: on((*transaction).releaseContainer),
	command.NumberRenameContainer:  on((*transaction).renameContainer),
	command.NumberCommitJournal:    on((*transaction).commitJournal),
	command.NumberPutImage:         on((*transaction).putImage),
	command.NumberRemoveImageName:  on((*transaction).removeImageName),
	command.NumberDropImageHolder:  on((*transaction).dropImageHolder),
	command.NumberSetSetting:       on((*transaction).setSetting),
	command.NumberLoseContainer:    on((*transaction).loseContainer),
	command.NumberForgetContainer:  on((*transaction).forgetContainer),
	command.NumberReserveUpdate:    on((*transaction).reserveUpdate),
	command.NumberReleaseUpdate:    on((*transaction).releaseUpdate),
	command.NumberRecordEvent:      on((*transaction).recordEvent),
	command.NumberRemoveLink:       on((*transaction).removeLink),
	command.NumberLinksTold:        on((*transaction).linksTold),
	command.NumberPutBuilder:       on((*transaction).putBuilder),
	command.NumberSetAccountLimits: on((*transaction).setAccountLimits),
	command.NumberRemovePackage:    on((*transaction).removePackage),
	command.NumberSeedPackages:     on((*transaction).seedPackages),
	command.NumberPutHead:          on((*transaction).putHead),
	command.NumberRemoveHead:       on((*transaction).removeHead),
	command.NumberCheckState:       on((*transaction).checkState),
	command.NumberResetJournal:     on((*transaction).resetJournal),
	command.NumberCreateVolume:     on((*transaction).createVolume),
	command.NumberRemoveVolume:     on((*transaction).removeVolume),
	command.NumberForgetVolume:     on((*transaction).forgetVolume),
	command.NumberSetVolumeSize:    on((*transaction).setVolumeSize),
	command.NumberRenameVolume:     on((*transaction).renameVolume),
	command.NumberMoveVolume:       on((*transaction).moveVolume),
	command.NumberFinishVolume:     on((*transaction).finishVolume),
	command.NumberAskVolumeMove:    on((*transaction).askVolumeMove),
	command.NumberStepVolumeMove:   on((*transaction).stepVolumeMove),
	command.NumberEndVolumeMove:    on((*transaction).endVolumeMove),
	command.NumberAddCopy:          on((*transaction).addCopy),
	command.NumberCondemnCopy:      on((*transaction).condemnCopy),
	command.NumberDropCopy:         on((*transaction).dropCopy),
	command.NumberPutToken:         on((*transaction).putToken),
	command.NumberRemoveToken:      on((*transaction).removeToken),
	command.NumberUseToken:         on((*transaction).useToken),
	command.NumberChangeNode:       on((*transaction).changeNode),
	command.NumberSetKeyring:       on((*transaction).setKeyring),
	command.NumberMoveContainer:    on((*transaction).moveContainer),
	command.NumberSettleMove:       on((*transaction).settleMove),
	command.NumberFindContainer:    on((*transaction).findContainer),
	command.NumberCreateNetwork:    on((*transaction).createNetwork),
	command.NumberRemoveNetwork:    on((*transaction).removeNetwork),
	command.NumberConnectNIC:       on((*transaction).connectNIC),
	command.NumberDisconnectNIC:    on((*transaction).disconnectNIC),
	command.NumberNICsTold:         on((*transaction).nicsTold),
	command.NumberPutRule:          on((*transaction).putRule),
	command.NumberRemoveRule:       on((*transaction).removeRule),

	command.NumberAskTransfer:      on((*transaction).askTransfer),
	command.NumberAskGroupTransfer: on((*transaction).askGroupTransfer),
	command.NumberStepTransfer:     on((*transaction).stepTransfer),
	command.NumberCompleteTransfer: on((*transaction).completeTransfer),
	command.NumberEndTransfer:      on((*transaction).endTransfer),
	command.NumberDropFormer:       on((*transaction).dropFormer),

	command.NumberSetAccountPublish: on((*transaction).setAccountPublish),
	command.NumberPutNetworkPool:    on((*transaction).putNetworkPool),
	command.NumberRemoveNetworkPool: on((*transaction).removeNetworkPool),
}

// on makes a rule of a method for commands of one type.
func on[C command.Command](apply func(*transaction, C) error) rule {
	return func(t *transaction, c command.Command) error { return apply(t, c.(C)) }
}
