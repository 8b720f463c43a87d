//! Who holds which SPN, and the state of the accounts behind them.
