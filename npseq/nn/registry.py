"""The recurrent layers by the names that ``--model`` takes."""

from .layers import GRU, LSTM, RNN, OptimizedGRU, OptimizedLSTM, OptimizedRNN

# The names that --model takes.
MODELS = {
    "rnn": RNN,
    "lstm": LSTM,
    "gru": GRU,
    "optimized_lstm": OptimizedLSTM,
    "optimized_rnn": OptimizedRNN,
    "optimized_gru": OptimizedGRU,
}
