package command

// Level is how much of the log's language this program knows. It grows by one
// with each release that has new commands, or new fields of them: heads that do
// not know these stop. It also grows when a command comes to mean something else,
// be it a field that the state writes; see state.View.Level.
const Level = 1

// levels is since when there are commands that were not always there.
var levels = map[Number]int{
	NumberAskGroupTransfer: 1,
	NumberAskVolumeMove:    1,
	NumberStepVolumeMove:   1,
	NumberEndVolumeMove:    1,
}

// LevelOf is the level that a head has to know to apply a command. While a head
// knows less, the command must not be in the log.
func LevelOf(c Command) int {
	if step, ok := c.(StepTransfer); ok && len(step.Others) > 0 {
		return levels[NumberAskGroupTransfer]
	}
	return levels[c.Number()]
}
