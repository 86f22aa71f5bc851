package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
)

// Number names a sort of command in the log.
type Number uint16

// The numbers of the commands. They are part of the log's format.
const (
	NumberCreateAccount    Number = 1
	NumberRemoveAccount    Number = 2
	NumberAddKey           Number = 3
	NumberRemoveKey        Number = 4
	NumberPutPackage       Number = 5
	NumberPutNetwork       Number = 6
	NumberPutNode          Number = 7
	NumberSetNodeInfo      Number = 8
	NumberRemoveNode       Number = 9
	NumberReserveContainer Number = 10
	NumberReleaseContainer Number = 11
	NumberRenameContainer  Number = 12
	NumberCommitJournal    Number = 13
	NumberPutImage         Number = 14
	NumberRemoveImageName  Number = 15
	NumberDropImageHolder  Number = 16
	NumberSetSetting       Number = 17
	NumberLoseContainer    Number = 18
	NumberForgetContainer  Number = 19
	NumberReserveUpdate    Number = 20
	NumberReleaseUpdate    Number = 21
	NumberRecordEvent      Number = 22
	NumberRemoveLink       Number = 23
	NumberLinksTold        Number = 24
	NumberPutBuilder       Number = 25
	NumberPutHead          Number = 26
	NumberRemoveHead       Number = 27
	NumberCheckState       Number = 28
	NumberResetJournal     Number = 29
)

// version is that of every command as this program writes it. A command whose
// meaning must change gets a new number instead; the version is there so that
// an older program notices a change of the envelope.
const version = 1

// Command is one change of the replicated state.
type Command interface {
	// Number says which sort of command it is.
	Number() Number
}

type envelope struct {
	Number  Number          `json:"n"`
	Version int             `json:"v"`
	Request string          `json:"r,omitempty"`
	Fields  json.RawMessage `json:"c"`
}

// Entry is a command with the id of the request that it is part of, so that
// the state can tell a repetition. An empty id is never one.
type Entry struct {
	Request string
	Command Command
}

// maxRequest bounds the length of a request's id: the state remembers it.
const maxRequest = 128

// NewerError says that the log holds something that this program is too old
// to understand.
type NewerError struct {
	Number  Number
	Version int
	Field   string // the unknown field, if that is what was not understood
}

func (e *NewerError) Error() string {
	if e.Field != "" {
		return fmt.Sprintf("command %d has the unknown field %s: this head needs a newer version of spearhead", e.Number, e.Field)
	}
	return fmt.Sprintf("unknown command %d version %d: this head needs a newer version of spearhead", e.Number, e.Version)
}

// Encode returns e as it is written to the log.
func Encode(e Entry) ([]byte, error) {
	if len(e.Request) > maxRequest {
		return nil, model.Errorf(model.KindInvalid, "the request's id is longer than %d bytes", maxRequest)
	}
	number := e.Command.Number()
	fields, err := json.Marshal(e.Command)
	if err != nil {
		return nil, fmt.Errorf("cannot encode command %d: %w", number, err)
	}
	data, err := json.Marshal(envelope{Number: number, Version: version, Request: e.Request, Fields: fields})
	if err != nil {
		return nil, fmt.Errorf("cannot encode command %d: %w", number, err)
	}
	return data, nil
}

// Decode is the reverse of Encode. The error is a *NewerError if the entry
// was written by a program that knows more than this one.
func Decode(data []byte) (Entry, error) {
	var e envelope
	if err := unmarshal(data, &e); err != nil {
		return Entry{}, newer(e, err)
	}
	if e.Version != version {
		return Entry{}, &NewerError{Number: e.Number, Version: e.Version}
	}
	if len(e.Request) > maxRequest {
		return Entry{}, fmt.Errorf("cannot decode command %d: its request's id has %d bytes", e.Number, len(e.Request))
	}
	c, err := decodeFields(e)
	if err != nil {
		return Entry{}, newer(e, err)
	}
	return Entry{Request: e.Request, Command: c}, nil
}

// decoders reads the fields of each sort of command.
var decoders = map[Number]func(envelope) (Command, error){
	NumberCreateAccount:    fields[CreateAccount],
	NumberRemoveAccount:    fields[RemoveAccount],
	NumberAddKey:           fields[AddKey],
	NumberRemoveKey:        fields[RemoveKey],
	NumberPutPackage:       fields[PutPackage],
	NumberPutNetwork:       fields[PutNetwork],
	NumberPutNode:          fields[PutNode],
	NumberSetNodeInfo:      fields[SetNodeInfo],
	NumberRemoveNode:       fields[RemoveNode],
	NumberReserveContainer: fields[ReserveContainer],
	NumberReleaseContainer: fields[ReleaseContainer],
	NumberRenameContainer:  fields[RenameContainer],
	NumberCommitJournal:    fields[CommitJournal],
	NumberPutImage:         fields[PutImage],
	NumberRemoveImageName:  fields[RemoveImageName],
	NumberDropImageHolder:  fields[DropImageHolder],
	NumberSetSetting:       fields[SetSetting],
	NumberSeedPackages:     fields[SeedPackages],
	NumberLoseContainer:    fields[LoseContainer],
	NumberForgetContainer:  fields[ForgetContainer],
	NumberReserveUpdate:    fields[ReserveUpdate],
	NumberReleaseUpdate:    fields[ReleaseUpdate],
	NumberRecordEvent:      fields[RecordEvent],
	NumberRemoveLink:       fields[RemoveLink],
	NumberLinksTold:        fields[LinksTold],
	NumberPutBuilder:       fields[PutBuilder],
	NumberCreateVolume:     fields[CreateVolume],
	NumberRemoveVolume:     fields[RemoveVolume],
	NumberForgetVolume:     fields[ForgetVolume],
	NumberSetVolumeSize:    fields[SetVolumeSize],
	NumberRenameVolume:     fields[RenameVolume],
	NumberMoveVolume:       fields[MoveVolume],
	NumberFinishVolume:     fields[FinishVolume],
	NumberAskVolumeMove:    fields[AskVolumeMove],
	NumberStepVolumeMove:   fields[StepVolumeMove],
	NumberEndVolumeMove:    fields[EndVolumeMove],
	NumberAddCopy:          fields[AddCopy],
	NumberCondemnCopy:      fields[CondemnCopy],
	NumberDropCopy:         fields[DropCopy],
	NumberSetAccountLimits: fields[SetAccountLimits],
	NumberRemovePackage:    fields[RemovePackage],
	NumberPutHead:          fields[PutHead],
	NumberRemoveHead:       fields[RemoveHead],
	NumberCheckState:       fields[CheckState],
	NumberResetJournal:     fields[ResetJournal],
	NumberPutToken:         fields[PutToken],
	NumberRemoveToken:      fields[RemoveToken],
	NumberUseToken:         fields[UseToken],
	NumberChangeNode:       fields[ChangeNode],
	NumberSetKeyring:       fields[SetKeyring],
	NumberMoveContainer:    fields[MoveContainer],
	NumberSettleMove:       fields[SettleMove],
	NumberAskTransfer:      fields[AskTransfer],
	NumberStepTransfer:     fields[StepTransfer],
	NumberCompleteTransfer: fields[CompleteTransfer],
	NumberEndTransfer:      fields[EndTransfer],
	NumberAskGroupTransfer: fields[AskGroupTransfer],
	NumberDropFormer:       fields[DropFormer],
	NumberFindContainer:    fields[FindContainer],
	NumberCreateNetwork:    fields[CreateNetwork],
	NumberRemoveNetwork:    fields[RemoveNetwork],
	NumberConnectNIC:       fields[ConnectNIC],
	NumberDisconnectNIC:    fields[DisconnectNIC],
	NumberNICsTold:         fields[NICsTold],
	NumberPutRule:          fields[PutRule],
	NumberRemoveRule:       fields[RemoveRule],

	NumberSetAccountPublish: fields[SetAccountPublish],
	NumberPutNetworkPool:    fields[PutNetworkPool],
	NumberRemoveNetworkPool: fields[RemoveNetworkPool],
}

func decodeFields(e envelope) (Command, error) {
	decode, ok := decoders[e.Number]
	if !ok {
		return nil, &NewerError{Number: e.Number, Version: e.Version}
	}
	return decode(e)
}

func fields[C Command](e envelope) (Command, error) {
	var c C
	if err := unmarshal(e.Fields, &c); err != nil {
		return nil, err
	}
	return c, nil
}

// unmarshal reads exactly one JSON value with no field that v lacks.
func unmarshal(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the command")
	}
	return nil
}

func newer(e envelope, err error) error {
	var known *NewerError
	if errors.As(err, &known) {
		return known
	}
	// encoding/json has no type for this error.
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return &NewerError{Number: e.Number, Version: e.Version, Field: field}
	}
	return fmt.Errorf("cannot decode command %d: %w", e.Number, err)
}
