//! What all network services share.
